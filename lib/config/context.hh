// Where reading stands: the node at hand, its path, and the problems found so far.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "config/node.hh"
#include "config/problem.hh"

namespace sluice::config {

// What is the same for a whole document.
struct Source {
    std::shared_ptr<const std::string> file;  // its name in problems
    std::string folder;                       // relative paths start here; absolute
};

// Lives on the stack of the reader and points to the context it was made from; never kept.
class Context {
  public:
    Context(const Source& source, const Node& root, Problems& problems)
        : source_(source), problems_(problems), node_(root) {}

    // The context of a child of the node. The key is borrowed.
    [[nodiscard]] Context inside(std::string_view key, const Node& child) const {
        return {*this, child, key, kNoIndex};
    }
    [[nodiscard]] Context inside(size_t index, const Node& child) const { return {*this, child, {}, index}; }
    // The same place with other problems: to try a reading.
    [[nodiscard]] Context with(Problems& problems) const;

    [[nodiscard]] const Node& node() const { return node_; }
    [[nodiscard]] const std::string& folder() const { return source_.folder; }
    [[nodiscard]] std::string path() const;
    [[nodiscard]] Location location() const;
    // Whether the mapping at hand has the key.
    [[nodiscard]] bool has(std::string_view key) const { return node_.find(key) != nullptr; }

    // Reports the node at hand. Gives false, for readers to return.
    bool problem(std::string message, std::string hint = {});
    // Reports the value of a key of the mapping at hand, or the mapping if the key is absent.
    bool problem_at(std::string_view key, std::string message, std::string hint = {});
    // Reports a key itself.
    bool problem_with_key(const Node::Entry& entry, std::string message, std::string hint = {});
    [[nodiscard]] Problems& problems() { return problems_; }

  private:
    static constexpr size_t kNoIndex = static_cast<size_t>(-1);
    Context(const Context& parent, const Node& node, std::string_view key, size_t index)
        : source_(parent.source_),
          problems_(parent.problems_),
          node_(node),
          parent_(&parent),
          key_(key),
          index_(index) {}
    Context(const Context& twin, Problems& problems)
        : source_(twin.source_),
          problems_(problems),
          node_(twin.node_),
          parent_(twin.parent_),
          key_(twin.key_),
          index_(twin.index_) {}
    bool report(Mark mark, std::string path, std::string message, std::string hint);

    const Source& source_;
    Problems& problems_;
    const Node& node_;
    const Context* parent_ = nullptr;
    std::string_view key_;
    size_t index_ = kNoIndex;
};

}  // namespace sluice::config
