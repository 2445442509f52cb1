-- The three users of a mesh whose manifest says `spec.store.mysql.database: skynetes`. To be run by an administrator of
-- the server, with passwords of your own in place of the three, and with the hosts that may connect in place of '%'.
-- `\_` is an underscore; a plain one would stand for any character.

-- Makes databases, tables and views; used when a node starts, freezes and drops, never for a record.
CREATE USER 'skynetes_bootstrap'@'%' IDENTIFIED BY 'bootstrap-password';
-- DELETE removes old rows of the table of positions; rows of data are never deleted. DROP takes away the databases of a
-- shard that is placed elsewhere or built anew.
GRANT CREATE, DROP, SELECT, INSERT, DELETE ON `skynetes\_data\_%`.* TO 'skynetes_bootstrap'@'%';
GRANT CREATE, CREATE VIEW, SHOW VIEW, DROP, SELECT ON `skynetes\_view\_%`.* TO 'skynetes_bootstrap'@'%';

-- Appends rows and positions, and reads them for freezes. It can neither change nor delete anything.
CREATE USER 'skynetes_ingest'@'%' IDENTIFIED BY 'ingest-password';
GRANT SELECT, INSERT ON `skynetes\_data\_%`.* TO 'skynetes_ingest'@'%';

-- Reads snapshots, and nothing that is not in one.
CREATE USER 'skynetes_service'@'%' IDENTIFIED BY 'service-password';
GRANT SELECT ON `skynetes\_view\_%`.* TO 'skynetes_service'@'%';
