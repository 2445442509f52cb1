/**
 * W3C trace context of the step that runs now, for calls to other processes. The steps know nothing of OpenTelemetry;
 * telemetry, when it is started, sets the reader.
 */
let reader: (() => string | undefined) | undefined;

/** `undefined`: nothing is traced here; a caller's context is then passed on as it came. */
export function outgoingTraceparent(): string | undefined {
  return reader?.();
}

export function readTraceparentWith(read: (() => string | undefined) | undefined): void {
  reader = read;
}
