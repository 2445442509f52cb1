import { serveFiles } from "./serve-files.ts";

serveFiles();
