import type { Log, LogWriter } from "../log/log.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { absolute } from "./options.ts";

export interface LogChoice {
  readonly dataDir: string;
  readonly manifest?: string;
}

export interface LogOfMesh {
  /** Absent where none was named: the log is the data directory's. */
  readonly manifest: Manifest | undefined;
  readonly log: Log;
  readonly writer: LogWriter;
  /** What was written, first. */
  close(): Promise<void>;
}

/** The log to write to, as the command line says. Faults: `invalid-manifest`; those of the log. */
export async function openLogOf({ dataDir, manifest: file }: LogChoice): Promise<LogOfMesh> {
  const [{ openMeshLog }, { dataDirectory }, { systemClock }] = await Promise.all([
    import("../log/open-log.ts"),
    import("../up/control/data-directory.ts"),
    import("../process/clock.ts"),
  ]);
  const manifest = file === undefined ? undefined : await loadManifest(file);
  const { log, openWriter } = await openMeshLog(manifest?.mesh.log, {
    embeddedDirectory: dataDirectory(absolute(dataDir)).log,
    manifestDirectory: manifest?.directory ?? process.cwd(),
    environment: process.env,
    clock: systemClock,
  });
  try {
    const writer = await openWriter();
    return {
      manifest,
      log,
      writer,
      async close() {
        await writer.close();
        await log.close();
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function loadManifest(file: string): Promise<Manifest> {
  const { loadManifestWithoutSeeds } = await import("../manifest/load-manifest.ts");
  return loadManifestWithoutSeeds(file);
}
