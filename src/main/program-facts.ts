export interface ProgramFacts {
  /** The program's own script: `up` starts its parts as other commands of it. */
  readonly script: string;
  /** Writes what has been compiled so far: a process that is killed later still leaves it to the next. */
  readonly flushCompileCache: () => void;
}
