export function quoted(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** Of a name in a database. */
export function qualified(database: string, name: string): string {
  return `${quoted(database)}.${quoted(name)}`;
}

/** For text of our own in statements that take no parameters, such as the definition of a view. */
export function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
