/** The server sent what the protocol does not allow, or what no table of the caller's holds. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProtocolError";
  }
}
