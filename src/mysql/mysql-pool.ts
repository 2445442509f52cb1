import mysql, { type Pool, type PoolConnection, type RowDataPacket } from "mysql2";
import { isRefusal, mySqlFault } from "./mysql-fault.ts";
import { type MySqlLogin, type MySqlServer, placeOf } from "./mysql-server.ts";

export interface PoolLimits {
  readonly connectionsMax: number;
  /** Of one statement, sending of its rows included. The server ends it, or the client gives up the connection. */
  readonly statementMs: number;
}

const CONNECT_MS = 10_000;
/** The server's word comes first; the client's own limit is for a server that no longer says anything. */
const CLIENT_GRACE_MS = 5_000;
/** Statements that wait for a connection; the callers have narrower bounds of their own. */
const WAITING_MAX = 4_096;
const STREAM_ROWS_AHEAD = 512;

/** A row by position: 64-bit integers and decimals as text, binary columns as Buffer, doubles and small integers as number. */
export type Row = readonly (string | number | Buffer | null)[];
export type Parameter = string | number | Buffer | null;

/**
 * Connections of one user to one server, each made when it is needed and again when it was lost. Everything runs as a
 * prepared statement, one a call.
 */
export class MySqlPool {
  readonly #pool: Pool;
  readonly #place: string;
  readonly #timeoutMs: number;

  constructor(server: MySqlServer, login: MySqlLogin, { connectionsMax, statementMs }: PoolLimits) {
    this.#place = placeOf(server, login);
    this.#timeoutMs = statementMs + CLIENT_GRACE_MS;
    this.#pool = mysql.createPool({
      host: server.host,
      port: server.port,
      user: login.user,
      password: login.password,
      charset: "UTF8MB4_BIN",
      connectionLimit: connectionsMax,
      queueLimit: WAITING_MAX,
      connectTimeout: CONNECT_MS,
      multipleStatements: false,
      rowsAsArray: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      maxPreparedStatements: 128,
      ...(server.tls === undefined
        ? {}
        : {
            ssl: {
              ...(server.tls.ca === undefined ? {} : { ca: server.tls.ca }),
              minVersion: "TLSv1.2",
              rejectUnauthorized: true,
              verifyIdentity: true,
            },
          }),
    });
    this.#pool.on("connection", (connection: PoolConnection) => {
      // Queued before the statement that the connection was made for.
      connection.query(sessionStatement(server, statementMs), (error: unknown) => {
        if (error !== null) connection.destroy();
      });
    });
  }

  /** Runs one statement. Faults as `mySqlFault` says. */
  run(attempted: string, sql: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    return this.use(attempted, (session) => session.run(sql, parameters));
  }

  /** One connection for several statements. After a failure that was no mere refusal it is not used again. */
  async use<T>(attempted: string, work: (session: MySqlSession) => Promise<T>): Promise<T> {
    const connection = await this.#connect(attempted);
    try {
      const result = await work(new MySqlSession(connection, this.#timeoutMs));
      connection.release();
      return result;
    } catch (error) {
      const cause = (error as { cause?: unknown }).cause ?? error;
      if (isRefusal(cause)) connection.release();
      else connection.destroy();
      throw mySqlFault(error, `${attempted} at ${this.#place}`);
    }
  }

  /** Rows as the server sends them; at most some hundreds wait here. Leaving the loop gives up the connection. */
  async *stream(attempted: string, sql: string, parameters: readonly Parameter[] = []): AsyncIterable<Row> {
    const connection = await this.#connect(attempted);
    let isWhole = false;
    try {
      const rows = connection.execute(sql, [...parameters]).stream({ highWaterMark: STREAM_ROWS_AHEAD });
      for await (const row of rows) yield row as Row;
      isWhole = true;
    } catch (error) {
      throw mySqlFault(error, `${attempted} at ${this.#place}`);
    } finally {
      if (isWhole) connection.release();
      else connection.destroy();
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#pool.end(() => resolve());
    });
  }

  #connect(attempted: string): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      this.#pool.getConnection((error, connection) => {
        if (error === null) resolve(connection);
        else reject(mySqlFault(error, `${attempted} at ${this.#place}`));
      });
    });
  }
}

/** A connection while somebody has it. */
export class MySqlSession {
  readonly #connection: PoolConnection;
  readonly #timeoutMs: number;

  constructor(connection: PoolConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  run(sql: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      const options = { sql, timeout: this.#timeoutMs, values: [...parameters] };
      this.#connection.execute<RowDataPacket[][]>(options, (error, rows) => {
        if (error !== null) reject(error);
        // A statement without rows answers with what it has changed.
        else resolve(Array.isArray(rows) ? (rows as unknown as Row[]) : []);
      });
    });
  }
}

/**
 * READ COMMITTED is all that SingleStore has, so it is what everything here is made for. Comments for one kind of server
 * alone are its own syntax: `M!` is read by MariaDB, `!50708` by MySQL.
 */
function sessionStatement({ dialect }: MySqlServer, statementMs: number): string {
  const strict = "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'";
  if (dialect === "SingleStore") return `SET SESSION ${strict}`;
  return (
    `SET SESSION ${strict} /*M! , tx_isolation = 'READ-COMMITTED', max_statement_time = ${statementMs / 1000} */` +
    ` /*!50720 , transaction_isolation = 'READ-COMMITTED', max_execution_time = ${statementMs} */`
  );
}
