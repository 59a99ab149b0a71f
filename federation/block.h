// Blocks: the only shape in which numbers travel.
//
// A Block is a named dense matrix. A Query is a step's name, the scope of the sum and its input
// blocks, the same for every site. An Answer is blocks that will be *added* to the other sites'
// answers; a Release is blocks of one center that the report is about. DESIGN.md, "The contract".
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"

namespace consilium::federation {

struct Block {
  std::string name;
  Eigen::MatrixXd values;  // [rows x cols]
};

// Whose rows a query speaks of. Two queries with the same scope speak of the same rows.
struct Scope {
  std::string fit;  // which fit asks; derived values are kept under this name
  std::vector<std::string>
      members;  // sorted; the sites whose rows may enter (training centers, or the scored one)
  int left_out_fold = 0;  // 1..F: rows of this fold do not train; 0: every row does
};

struct Query {
  std::string step;
  Scope scope;
  std::vector<Block> inputs;
};

// How many words of which width a block of an answer takes; public bounds fix both.
struct WordFormat {
  int bits = 64;           // 32, 64 or 128
  int fraction_bits = 38;  // the grid is 2^-fraction_bits
};

struct BlockLayout {
  std::string name;
  Eigen::Index rows = 0;
  Eigen::Index cols = 0;
  WordFormat format;
};

// Values rounded to the grid once a site (double), or sums of rows that were rounded one by one
// (integers, already in grid units): these do not depend on how rows are cut over sites.
struct AnswerBlock {
  std::string name;
  std::variant<Eigen::MatrixXd, std::vector<Int128>>
      values;  // integers: column-major, rows * cols of them
};

struct Answer {
  std::vector<AnswerBlock> blocks;
};

struct Release {
  std::vector<Block> blocks;
};

// What came back for one query: the sums (step kind kSum), or one Release a site (kind kRelease).
struct Total {
  std::vector<Block> sums;
  std::map<std::string, Release> releases;

  // The sum with this name. Aborts if the step has no such block: steps and their callers agree.
  [[nodiscard]] const Eigen::MatrixXd& operator[](std::string_view name) const;
};

// The input or released block with this name; null if there is none.
[[nodiscard]] const Eigen::MatrixXd* Find(const std::vector<Block>& blocks, std::string_view name);

// One value, one encoding (base/bytes.h).
void Encode(const Block& block, ByteWriter& writer);
void Encode(const Query& query, ByteWriter& writer);
void Encode(const Total& total, ByteWriter& writer);
// Limits: 4096 bytes a name, 2^20 names or blocks a list, 2^28 values a block. What is decoded
// encodes to the bytes that were read. Errors: kDataLoss through reader.failed().
[[nodiscard]] Block DecodeBlock(ByteReader& reader);
[[nodiscard]] Query DecodeQuery(ByteReader& reader);
[[nodiscard]] Total DecodeTotal(ByteReader& reader);

// The name of a query: what receipts, masks and the ledger are bound to.
[[nodiscard]] Digest DigestOf(const Query& query);
// The name of everything asked in one round, in order.
[[nodiscard]] Digest DigestOf(const std::vector<Query>& queries);

}  // namespace consilium::federation
