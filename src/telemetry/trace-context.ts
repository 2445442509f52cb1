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

/**
 * Trace context is passed on only when it is well-formed: https://www.w3.org/TR/trace-context/. Anything else is
 * dropped, as the standard says, since the caller's tracing is no reason to refuse its query.
 */
export function parseTraceparent(text: string | undefined): string | undefined {
  if (text === undefined || !/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(text)) return undefined;
  const [, trace, span] = text.split("-") as [string, string, string];
  return /^0+$/.test(trace) || /^0+$/.test(span) ? undefined : text;
}
