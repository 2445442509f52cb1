CREATE DATABASE IF NOT EXISTS `skynetes_data_node-a_3`;

CREATE DATABASE IF NOT EXISTS `skynetes_view_node-a_3`;

CREATE ROWSTORE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`skynetes:positions` (
  `topic` VARCHAR(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `partition` INT NOT NULL,
  `from_position` BIGINT NOT NULL,
  `to_position` BIGINT NOT NULL,
  `topic_id` VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`topic`, `partition`, `from_position`),
  SHARD KEY (`topic`, `partition`)
);

CREATE ROWSTORE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`skynetes:rejects` (
  `topic` VARCHAR(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `partition` INT NOT NULL,
  `offset` BIGINT NOT NULL,
  `timestamp_ms` BIGINT NOT NULL,
  `reason` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `key` LONGBLOB,
  `value` LONGBLOB,
  PRIMARY KEY (`topic`, `partition`, `offset`),
  SHARD KEY (`topic`, `partition`)
);

CREATE ROWSTORE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`skynetes:tables` (
  `name` VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `description` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`name`),
  SHARD KEY (`name`)
);

CREATE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`events` (
  `skynetes:partition` INT NOT NULL,
  `skynetes:offset` BIGINT NOT NULL,
  `skynetes:tombstone` TINYINT NOT NULL,
  `id` BIGINT,
  `name` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  `price` DECIMAL(18,2),
  `at` BIGINT,
  `ratio` VARCHAR(24),
  SORT KEY (`skynetes:partition`, `skynetes:offset`),
  SHARD KEY (`skynetes:partition`, `skynetes:offset`),
  UNIQUE KEY `skynetes:position` (`skynetes:partition`, `skynetes:offset`) USING HASH
);

CREATE ROWSTORE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`orders` (
  `skynetes:partition` INT NOT NULL,
  `skynetes:offset` BIGINT NOT NULL,
  `skynetes:tombstone` TINYINT NOT NULL,
  `skynetes:key` BINARY(32) NOT NULL,
  `id` BIGINT,
  `name` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  `price` DECIMAL(18,2),
  `at` BIGINT,
  `ratio` VARCHAR(24),
  PRIMARY KEY (`skynetes:key`, `skynetes:offset`, `skynetes:partition`),
  SHARD KEY (`skynetes:key`)
);

CREATE ROWSTORE REFERENCE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`rates` (
  `skynetes:partition` INT NOT NULL,
  `skynetes:offset` BIGINT NOT NULL,
  `skynetes:tombstone` TINYINT NOT NULL,
  `id` INT,
  PRIMARY KEY (`skynetes:partition`, `skynetes:offset`)
);

CREATE ROWSTORE REFERENCE TABLE IF NOT EXISTS `skynetes_data_node-a_3`.`places` (
  `skynetes:partition` INT NOT NULL,
  `skynetes:offset` BIGINT NOT NULL,
  `skynetes:tombstone` TINYINT NOT NULL,
  `skynetes:key` BINARY(32) NOT NULL,
  `code` LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  PRIMARY KEY (`skynetes:key`, `skynetes:offset`, `skynetes:partition`)
);

CREATE VIEW `h1:events` AS SELECT `id`, `name`, `price`, `at`, `ratio` FROM `skynetes_data_node-a_3`.`events` WHERE ((`skynetes:partition` = 0 AND `skynetes:offset` < 10) OR (`skynetes:partition` = 1 AND `skynetes:offset` < 20));

CREATE VIEW `h1:orders` AS SELECT `id`, `name`, `price`, `at`, `ratio` FROM (SELECT `skynetes:tombstone`, `id`, `name`, `price`, `at`, `ratio` FROM (SELECT `skynetes:tombstone`, `id`, `name`, `price`, `at`, `ratio`, ROW_NUMBER() OVER (PARTITION BY `skynetes:key`, `skynetes:partition` ORDER BY `skynetes:offset` DESC) AS `skynetes:age` FROM `skynetes_data_node-a_3`.`orders` WHERE ((`skynetes:partition` = 0 AND `skynetes:offset` < 10) OR (`skynetes:partition` = 1 AND `skynetes:offset` < 20))) AS `skynetes:history` WHERE `skynetes:age` = 1) AS `skynetes:newest` WHERE `skynetes:tombstone` = 0;

CREATE VIEW `h1:rates` AS SELECT `id` FROM `skynetes_data_node-a_3`.`rates` WHERE ((`skynetes:partition` = 0 AND `skynetes:offset` < 10) OR (`skynetes:partition` = 1 AND `skynetes:offset` < 20));

CREATE VIEW `h1:places` AS SELECT `code` FROM (SELECT `skynetes:tombstone`, `code` FROM (SELECT `skynetes:tombstone`, `code`, ROW_NUMBER() OVER (PARTITION BY `skynetes:key`, `skynetes:partition` ORDER BY `skynetes:offset` DESC) AS `skynetes:age` FROM `skynetes_data_node-a_3`.`places` WHERE ((`skynetes:partition` = 0 AND `skynetes:offset` < 10) OR (`skynetes:partition` = 1 AND `skynetes:offset` < 20))) AS `skynetes:history` WHERE `skynetes:age` = 1) AS `skynetes:newest` WHERE `skynetes:tombstone` = 0;
