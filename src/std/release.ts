/**
 * Frees the memory of a buffer now. A thread's garbage collector leaves up to 64 MiB of dead buffers lying; with three threads
 * that would be most of the promised memory. The caller must be the buffer's only owner.
 */
export function release(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached && buffer.byteLength > 0) buffer.transfer(0);
}

/** The same for bytes that may be a view: only where they are all of their buffer, for node's small ones share a pool. */
export function releaseBytes(bytes: Uint8Array): void {
  if (bytes.byteLength === bytes.buffer.byteLength) release(bytes.buffer);
}
