-- F-grams of 2 to 5 tokens that occur at least five times, on a ClickHouse cluster called 'mining' (or on one server: leave out ON CLUSTER and the
-- Distributed tables). The statements from f2 on are those that the bench runs (tools/bench/miner/sql.mjs), but for GLOBAL IN.
--
-- A row of keys is a position: hi packs its tokens 0 to 3 in 16 bits each, lo is token 4; 65535 stands for what lies past the document's end.
-- Rows are spread by their first token, so that all occurrences of an n-gram lie on one shard and no group is sent twice. Suffixes lie elsewhere:
-- GLOBAL IN sends the level before to every shard. Levels lie on the server that is asked; at 280M tokens the largest has six million rows.
-- Sharding by first token is uneven where one token is a tenth of the text. Tried on one server, where the answer is that of the bench byte for byte.

-- 1. Tokens, one row each, the one that opens a document included.
CREATE TABLE tokens_local ON CLUSTER mining (document UInt64, position UInt32, token UInt16) ENGINE = MergeTree ORDER BY (document, position);
CREATE TABLE tokens ON CLUSTER mining AS tokens_local ENGINE = Distributed(mining, currentDatabase(), tokens_local, document);

-- 2. Keys, once: windows within documents, each document whole on one shard.
CREATE TABLE keys_local ON CLUSTER mining (hi UInt64, lo UInt16) ENGINE = MergeTree ORDER BY tuple();
CREATE TABLE keys ON CLUSTER mining AS keys_local ENGINE = Distributed(mining, currentDatabase(), keys_local, bitShiftRight(hi, 48));
INSERT INTO keys SELECT
    bitOr(bitOr(bitShiftLeft(toUInt64(token), 48), bitShiftLeft(leadInFrame(toUInt64(token), 1, toUInt64(65535)) OVER document, 32)), bitOr(bitShiftLeft(leadInFrame(toUInt64(token), 2, toUInt64(65535)) OVER document, 16), leadInFrame(toUInt64(token), 3, toUInt64(65535)) OVER document)) AS hi,
    toUInt16(leadInFrame(toUInt64(token), 4, toUInt64(65535)) OVER document) AS lo
  FROM tokens WINDOW document AS (PARTITION BY tokens.document ORDER BY position ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING);

-- 3. One length after the other.
CREATE TABLE f2 ENGINE = Memory AS
  SELECT k0, toUInt32(count(*)) AS c
  FROM (SELECT toUInt32(bitShiftRight(hi, 32)) AS k0 FROM keys
    WHERE bitAnd(toUInt32(bitShiftRight(hi, 32)), 65535) != 65535)
  GROUP BY k0 HAVING count(*) >= 5;
CREATE TABLE f3 ENGINE = Memory AS
  SELECT k0, toUInt32(count(*)) AS c
  FROM (SELECT bitShiftRight(hi, 16) AS k0 FROM keys
    WHERE toUInt32(bitShiftRight(hi, 32)) GLOBAL IN (SELECT k0 FROM f2) AND toUInt32(bitAnd(bitShiftRight(hi, 16), 4294967295)) GLOBAL IN (SELECT k0 FROM f2))
  GROUP BY k0 HAVING count(*) >= 5;
CREATE TABLE f4 ENGINE = Memory AS
  SELECT k0, toUInt32(count(*)) AS c
  FROM (SELECT hi AS k0 FROM keys
    WHERE bitShiftRight(hi, 16) GLOBAL IN (SELECT k0 FROM f3) AND bitAnd(hi, 281474976710655) GLOBAL IN (SELECT k0 FROM f3))
  GROUP BY k0 HAVING count(*) >= 5;
CREATE TABLE f5 ENGINE = Memory AS
  SELECT k0, k1, toUInt32(count(*)) AS c
  FROM (SELECT hi AS k0, lo AS k1 FROM keys
    WHERE hi GLOBAL IN (SELECT k0 FROM f4) AND bitOr(bitShiftLeft(toUInt64(hi), 16), lo) GLOBAL IN (SELECT k0 FROM f4))
  GROUP BY k0, k1 HAVING count(*) >= 5;

-- 4. The answer, in order of rank: count, then shorter first, then token ids.
SELECT c, toUInt16(bitAnd(bitShiftRight(hi, 48), 65535)) AS t0, toUInt16(bitAnd(bitShiftRight(hi, 32), 65535)) AS t1, toUInt16(bitAnd(bitShiftRight(hi, 16), 65535)) AS t2, toUInt16(bitAnd(hi, 65535)) AS t3, toUInt16(bitAnd(lo, 65535)) AS t4
  FROM (SELECT c, toUInt16(2) AS n, toUInt64(bitOr(bitShiftLeft(toUInt64(k0), 32), 4294967295)) AS hi, toUInt64(65535) AS lo FROM f2
    UNION ALL SELECT c, toUInt16(3) AS n, toUInt64(bitOr(bitShiftLeft(toUInt64(k0), 16), 65535)) AS hi, toUInt64(65535) AS lo FROM f3
    UNION ALL SELECT c, toUInt16(4) AS n, toUInt64(k0) AS hi, toUInt64(65535) AS lo FROM f4
    UNION ALL SELECT c, toUInt16(5) AS n, toUInt64(k0) AS hi, toUInt64(k1) AS lo FROM f5)
  ORDER BY c DESC, n, hi, lo;
