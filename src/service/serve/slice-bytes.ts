/** Bytes copied between two pauses: some tens of microseconds, and a hundred where the memory is written for the first time. */
export const BYTES_PER_SLICE = 256 * 1024;
