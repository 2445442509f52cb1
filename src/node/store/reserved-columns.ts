/** DuckDB's own names of what it tells about a file's rows: a column of that name would hide it. */
export const RESERVED_COLUMNS: readonly string[] = ["file_row_number", "filename", "file_index"];
