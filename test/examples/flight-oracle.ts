import { DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";

/** One DuckDB over the same rows as a shard: what the services must agree with. */
export class FlightOracle {
  readonly #database: DuckDBInstance;
  readonly #select: string;

  private constructor(database: DuckDBInstance, select: string) {
    this.#database = database;
    this.#select = select;
  }

  static async open(select: string): Promise<FlightOracle> {
    return new FlightOracle(await DuckDBInstance.create(":memory:", { threads: "2" }), select);
  }

  /** `sql` over `flights`; rows as plain values. */
  async rows(sql: string): Promise<readonly Record<string, DuckDBValue>[]> {
    const connection = await this.#database.connect();
    try {
      return (await connection.runAndReadAll(`WITH flights AS (${this.#select}) ${sql}`)).getRowObjects();
    } finally {
      connection.closeSync();
    }
  }

  close(): void {
    this.#database.closeSync();
  }
}
