#include "config/print.hh"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::config {

namespace {

constexpr size_t kLineLength = 100;
constexpr std::string_view kHexDigits = "0123456789abcdef";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// In double quotes, as both YAML and JSON read it.
std::string in_quotes(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<uint8_t>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (c == '\n') {
            result += "\\n";
        } else if (c == '\t') {
            result += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            result += "\\u00";
            result += kHexDigits[byte >> 4];
            result += kHexDigits[byte & 15];
        } else {
            result += c;
        }
    }
    return result + "\"";
}

// Whether some YAML reader would take the text for a number, a date or the like: all that begins as a number
// does and has nothing in it that no number has.
bool looks_numeric(std::string_view text) {
    const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    const std::string_view rest = text.substr(sign);
    if (rest.empty() || !(is_digit(rest[0]) || rest[0] == '.'))
        return false;
    const auto in_numbers = [](char c) {
        return is_alphanumeric(c) || c == '.' || c == '_' || c == '-' || c == '+';
    };
    const bool several_points = std::ranges::count(rest, '.') > 1;  // an IPv4 address
    const bool unit = rest.back() == 's' || rest.back() == 'm' || rest.back() == 'k' || rest.back() == 'h';
    return !several_points && !unit && std::ranges::all_of(rest, in_numbers);
}

// Words to which some YAML version gives a meaning.
bool is_special_word(std::string_view text) {
    if (text.size() > 5)
        return false;
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    constexpr std::array<std::string_view, 9> kWords{"true", "false", "yes", "no", "on",
                                                     "off",  "null",  "y",   "n"};
    return std::ranges::find(kWords, lower) != kWords.end();
}

bool may_stand_plain(std::string_view text) {
    const auto harmless = [](char c) { return is_alphanumeric(c) || std::string_view("_./-+%").contains(c); };
    return !text.empty() && (is_alphanumeric(text[0]) || text[0] == '/' || text[0] == '_') &&
           std::ranges::all_of(text, harmless) && !looks_numeric(text) && !is_special_word(text);
}

std::string yaml_scalar(const Node& node) {
    return !node.quoted || may_stand_plain(node.text) ? node.text : in_quotes(node.text);
}

std::string yaml_key(const std::string& key) {
    return may_stand_plain(key) ? key : in_quotes(key);
}

bool is_simple_list(const Node& node) {
    return node.is_sequence() && std::ranges::all_of(node.items, &Node::is_scalar);
}

class YamlWriter {
  public:
    std::string take() { return std::move(out_); }

    // The value behind `key:` or `-`, and the end of its line.
    void value(const Node& node, size_t indent) {
        if (node.is_mapping() && !node.entries.empty()) {
            out_ += '\n';
            entries(node, indent, true);
        } else if (node.is_sequence() && !node.items.empty() && !fits(node, indent)) {
            out_ += '\n';
            items(node, indent);
        } else if (node.is_null()) {
            out_ += '\n';
        } else {
            out_ += ' ' + inline_text(node) + '\n';
        }
    }
    void entries(const Node& node, size_t indent, bool indent_first) {
        for (const auto& entry : node.entries) {
            if (indent_first)
                out_.append(indent, ' ');
            indent_first = true;
            out_ += yaml_key(entry.key) + ':';
            value(entry.value, indent + 2);
        }
    }
    void items(const Node& node, size_t indent) {
        for (const auto& item : node.items) {
            out_.append(indent, ' ');
            out_ += '-';
            if (item.is_mapping() && !item.entries.empty()) {
                out_ += ' ';
                entries(item, indent + 2, false);
            } else {
                value(item, indent + 2);
            }
        }
    }

  private:
    static bool fits(const Node& node, size_t indent) {
        return is_simple_list(node) && indent + inline_text(node).size() <= kLineLength;
    }
    std::string out_;
};

void write_json(const Node& node, size_t indent, std::string& out) {
    const auto line = [&out](size_t spaces) {
        out += '\n';
        out.append(spaces, ' ');
    };
    switch (node.kind) {
        case Node::Kind::null:
            out += "null";
            break;
        case Node::Kind::scalar:
            out += node.quoted ? in_quotes(node.text) : node.text;
            break;
        case Node::Kind::sequence:
            out += '[';
            for (size_t i = 0; i < node.items.size(); ++i) {
                if (i != 0)
                    out += ',';
                line(indent + 2);
                write_json(node.items[i], indent + 2, out);
            }
            if (!node.items.empty())
                line(indent);
            out += ']';
            break;
        case Node::Kind::mapping:
            out += '{';
            for (size_t i = 0; i < node.entries.size(); ++i) {
                if (i != 0)
                    out += ',';
                line(indent + 2);
                out += in_quotes(node.entries[i].key) + ": ";
                write_json(node.entries[i].value, indent + 2, out);
            }
            if (!node.entries.empty())
                line(indent);
            out += '}';
            break;
    }
}

}  // namespace

std::string yaml_text(const Node& node) {
    YamlWriter writer;
    if (node.is_mapping() && !node.entries.empty()) {
        writer.entries(node, 0, true);
    } else if (node.is_sequence() && !node.items.empty()) {
        writer.items(node, 0);
    } else {
        return inline_text(node) + '\n';
    }
    return writer.take();
}

std::string json_text(const Node& node) {
    std::string out;
    write_json(node, 0, out);
    return out + '\n';
}

std::string inline_text(const Node& node) {
    std::string text;
    switch (node.kind) {
        case Node::Kind::null:
            return "null";
        case Node::Kind::scalar:
            return yaml_scalar(node);
        case Node::Kind::sequence:
            for (const auto& item : node.items)
                text += (text.empty() ? "" : ", ") + inline_text(item);
            return "[" + text + "]";
        case Node::Kind::mapping:
            for (const auto& entry : node.entries)
                text += (text.empty() ? "" : ", ") + yaml_key(entry.key) + ": " + inline_text(entry.value);
            return "{" + text + "}";
    }
    return text;
}

}  // namespace sluice::config
