/**
 * A copy in memory of its own. Bytes that came from a socket or a pool are windows on something larger, which would stay
 * in memory with them, uncounted.
 */
export function ownBytes(pieces: readonly Uint8Array[]): Buffer {
  const copy = Buffer.allocUnsafeSlow(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    copy.set(piece, at);
    at += piece.length;
  }
  return copy;
}
