/** An ERR packet of the server, or the same said of a connection: `number` is MySQL's error number, `sqlState` its five characters. */
export class MysqlServerError extends Error {
  readonly number: number;
  readonly sqlState: string;

  constructor(number: number, sqlState: string, message: string) {
    super(message);
    this.name = "MysqlServerError";
    this.number = number;
    this.sqlState = sqlState;
  }
}

/** The connection ended, or was never had; `reason` is the system's code where there is one (`ECONNRESET`). */
export class MysqlConnectionError extends Error {
  readonly reason: string;
  /** The server was reached, and logged us in. */
  readonly wasOpen: boolean;

  constructor(reason: string, message: string, wasOpen: boolean) {
    super(message);
    this.name = "MysqlConnectionError";
    this.reason = reason;
    this.wasOpen = wasOpen;
  }
}

/** The server said nothing for too long. */
export class MysqlSilenceError extends Error {
  constructor(seconds: number) {
    super(`the server sent nothing for ${seconds} s`);
    this.name = "MysqlSilenceError";
  }
}

/** A value, or a column's type, that cannot be taken where it stands: the protocol is in order. */
export class MysqlValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MysqlValueError";
  }
}

/** Bytes that are not of MySQL's protocol. */
export class MysqlProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MysqlProtocolError";
  }
}

/** Reads an ERR packet: 0xff, number u16 LE, `#` and SQL state, message. */
export function errorOfPacket(packet: Uint8Array): MysqlServerError {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  const number = bytes.readUInt16LE(1);
  const hasState = bytes[3] === 0x23;
  const sqlState = hasState ? bytes.toString("latin1", 4, 9) : "HY000";
  return new MysqlServerError(number, sqlState, bytes.toString("utf8", hasState ? 9 : 3));
}
