// Containers and wrappers for members of declared structs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/problem.hh"

namespace sluice::config {

// A value and where it was written.
template <typename T>
struct Located {
    T value{};
    Location at;
    bool operator==(const Located&) const = default;
};

// Values under names the user chose (is_name), in the order of the file.
template <typename T>
class Named {
  public:
    struct Entry {
        std::string name;
        T value{};
        Location at;
        bool operator==(const Entry&) const = default;
    };

    T& add(std::string name, T value, Location at = {}) {
        return entries_.emplace_back(Entry{std::move(name), std::move(value), std::move(at)}).value;
    }
    // Looks through all: for control code, which has few.
    [[nodiscard]] const T* find(std::string_view name) const {
        for (const auto& entry : entries_) {
            if (entry.name == name) {
                return &entry.value;
            }
        }
        return nullptr;
    }
    [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] size_t size() const { return entries_.size(); }
    [[nodiscard]] auto begin() const { return entries_.begin(); }
    [[nodiscard]] auto end() const { return entries_.end(); }
    [[nodiscard]] auto begin() { return entries_.begin(); }
    [[nodiscard]] auto end() { return entries_.end(); }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> result;
        result.reserve(entries_.size());
        for (const auto& entry : entries_) {
            result.push_back(entry.name);
        }
        return result;
    }
    bool operator==(const Named&) const = default;

  private:
    std::vector<Entry> entries_;
};

}  // namespace sluice::config
