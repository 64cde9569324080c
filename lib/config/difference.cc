#include "config/difference.hh"

#include <utility>

#include "config/print.hh"

namespace sluice::config::detail {

namespace {

class Comparison {
  public:
    std::vector<Difference> take() { return std::move(found_); }

    // Mappings printed by `schema`.
    void keys(const MappingBase& schema, const Node& before, const Node& after, const std::string& path,
              bool fixed) {
        for (const auto& option : schema.options()) {
            const auto* old_entry = before.find(option.key);
            const auto* new_entry = after.find(option.key);
            const Node nothing;
            values(option.nested(), option.nesting, old_entry != nullptr ? old_entry->value : nothing,
                   new_entry != nullptr ? new_entry->value : nothing, joined(path, option.key),
                   fixed || option.fixed);
        }
    }

  private:
    static std::string joined(const std::string& path, const std::string& key) {
        return path.empty() ? key : path + "." + key;
    }
    static std::string text(const Node& node) { return node.is_null() ? std::string() : inline_text(node); }

    void values(const MappingBase* nested, std::string_view nesting, const Node& before, const Node& after,
                const std::string& path, bool fixed) {
        if (before == after)
            return;
        const bool both = before.is_mapping() && after.is_mapping();
        if (both && nesting == ".NAME") {
            names(nested, before, after, path, fixed);
        } else if (both && nested != nullptr && nesting.empty()) {
            keys(*nested, before, after, path, fixed);
        } else {
            found_.push_back({path, text(before), text(after), fixed});
        }
    }
    void names(const MappingBase* nested, const Node& before, const Node& after, const std::string& path,
               bool fixed) {
        const Node nothing;
        const size_t count = found_.size();
        for (const auto& entry : before.entries) {
            const auto* now = after.find(entry.key);
            values(nested, "", entry.value, now != nullptr ? now->value : nothing, joined(path, entry.key),
                   fixed);
        }
        for (const auto& entry : after.entries)
            if (before.find(entry.key) == nullptr)
                values(nested, "", nothing, entry.value, joined(path, entry.key), fixed);
        if (found_.size() == count)  // the same entries in another order
            found_.push_back({path, text(before), text(after), fixed});
    }

    std::vector<Difference> found_;
};

}  // namespace

std::vector<Difference> differences(const MappingBase& schema, const void* before, const void* after) {
    Comparison comparison;
    comparison.keys(schema, schema.print(before), schema.print(after), {}, false);
    return comparison.take();
}

}  // namespace sluice::config::detail
