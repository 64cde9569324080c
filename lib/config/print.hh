// Values written back as text, every default filled in; reading the text gives an equal value.
#pragma once

#include <string>

#include "config/node.hh"
#include "config/value.hh"

namespace sluice::config {

// Block style; lists of scalars on one line where they fit. Quotes wherever another YAML reader could mistake
// a string for something else. Ends with a newline.
std::string yaml_text(const Node& node);
// Two spaces a level. Ends with a newline.
std::string json_text(const Node& node);
// On one line, as within a list or for a table: `[80, 443]`, `{a: 1}`.
std::string inline_text(const Node& node);

template <HasSchema T>
std::string to_yaml(const T& value) {
    return yaml_text(Value<T>::print(value));
}

template <HasSchema T>
std::string to_json(const T& value) {
    return json_text(Value<T>::print(value));
}

}  // namespace sluice::config
