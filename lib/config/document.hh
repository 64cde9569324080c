// Reads a whole file into a struct with a schema: everything it says, or everything that is wrong with it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/mapping.hh"

namespace sluice::config {

namespace detail {
bool read_text(const MappingBase& schema, std::string_view name, std::string_view text,
               std::string_view folder, void* object, Problems& problems);
bool read_file(const MappingBase& schema, const std::string& path, void* object, Problems& problems);
}  // namespace detail

// `name` stands for the file in problems; relative paths within start at `folder` (empty: the working
// directory). Never throws; problems are never empty.
template <HasSchema T>
std::expected<T, Problems> read_text(std::string_view name, std::string_view text,
                                     std::string_view folder = {}) {
    T value{};
    Problems problems;
    if (!detail::read_text(Schema<T>::get(), name, text, folder, &value, problems)) {
        return std::unexpected(std::move(problems));
    }
    return value;
}

// A file that cannot be read is a problem too.
template <HasSchema T>
std::expected<T, Problems> read_file(const std::string& path) {
    T value{};
    Problems problems;
    if (!detail::read_file(Schema<T>::get(), path, &value, problems)) {
        return std::unexpected(std::move(problems));
    }
    return value;
}

}  // namespace sluice::config
