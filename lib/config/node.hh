// A YAML document as a tree that keeps every key, every position and the text of every scalar as written.
// What a scalar means is decided by whoever reads it, never here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.hh"

namespace sluice::config {

struct Node {
    enum class Kind : uint8_t {
        null,  // nothing written: `key:`
        scalar,
        sequence,
        mapping,
    };
    struct Entry;

    Kind kind = Kind::null;
    bool quoted = false;         // a scalar written in quotes or as a block
    bool broken = false;         // what stood here was refused and reported; readers say nothing more of it
    Mark mark;                   // of its first character; of its key when nothing is written
    std::string text;            // of a scalar
    std::vector<Node> items;     // of a sequence
    std::vector<Entry> entries;  // of a mapping, in the order of the file, keys unique

    // Makers, used by printers. `bare` is for numbers and booleans, `string` for all else: JSON quotes it.
    static Node bare(std::string text);
    static Node string(std::string text);
    static Node sequence();
    static Node mapping();
    Node& append(Node item);                    // to a sequence; gives the item in its place
    Node& append(std::string key, Node value);  // to a mapping; gives the value in its place

    [[nodiscard]] bool is_null() const { return kind == Kind::null; }
    [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
    [[nodiscard]] bool is_sequence() const { return kind == Kind::sequence; }
    [[nodiscard]] bool is_mapping() const { return kind == Kind::mapping; }
    [[nodiscard]] const Entry* find(std::string_view key) const;  // of a mapping; null if absent
    // Same kinds, texts and keys in the same order; places and quotes do not count.
    bool operator==(const Node& other) const;
};

struct Node::Entry {
    std::string key;
    Mark key_mark;
    Node value;
};

// What a document may be at most; more is refused with a located problem.
struct Limits {
    size_t bytes = size_t{64} << 20;
    size_t nodes = 8'000'000;
    size_t depth = 64;
};

// Parses one document. Mistakes of syntax, duplicate keys, aliases, tags, a second document and exceeded
// limits go to `problems` under the name `file`; the tree holds what could be read. An empty text is a null
// node.
Node parse(std::string_view file, std::string_view text, Problems& problems, const Limits& limits = {});

// What a kind is called in messages: "a list", "a mapping", ...
std::string_view describe(Node::Kind kind);

}  // namespace sluice::config
