/** Set in the environment of a gateway's worker to its name: the same command line then starts a worker. */
export const WORKER_VARIABLE = "SKYNETES_WORKER";
