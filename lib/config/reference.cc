#include "config/reference.hh"

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "config/print.hh"

namespace sluice::config {

namespace {

// Text for a cell of a Markdown table.
std::string cell(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '|')
            result += "\\|";
        else
            result += c == '\n' ? ' ' : c;
    }
    return result;
}

std::string code(std::string_view text) {
    return "`" + cell(text) + "`";
}

// How GitHub names the anchor of a heading that is one piece of code.
std::string anchor(std::string_view path) {
    std::string result;
    for (const char c : path) {
        if (c >= 'A' && c <= 'Z')
            result += static_cast<char>(c - 'A' + 'a');
        else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
            result += c;
    }
    return result;
}

std::string link(const std::string& path) {
    return "[" + code(path) + "](#" + anchor(path) + ")";
}

struct Section {
    std::string path;  // empty: the top
    const MappingBase* mapping;
};

class ReferenceWriter {
  public:
    explicit ReferenceWriter(std::ostream& out) : out_(out) {}

    void write(const MappingBase& schema) {
        // Sections follow each other as their keys do, each directly behind the one it belongs to.
        std::vector<Section> pending{{"", &schema}};
        while (!pending.empty()) {
            const Section section = pending.back();
            pending.pop_back();
            auto inner = write_section(section);
            pending.insert(pending.end(), inner.rbegin(), inner.rend());
        }
    }

  private:
    std::vector<Section> write_section(const Section& section) {
        if (!section.path.empty())
            out_ << "\n## " << code(section.path) << "\n\n"
                 << capitalised(section.mapping->what()) << ".\n\n";
        out_ << "| key | takes | default | meaning |\n|---|---|---|---|\n";
        std::vector<Section> inner;
        const Node defaults = section.mapping->defaults();
        for (const auto& option : section.mapping->options()) {
            const std::string path = (section.path.empty() ? "" : section.path + ".") + option.key;
            const MappingBase* nested = option.nested();
            std::string takes = cell(option.expected(option.constraint)) + length(option);
            if (nested != nullptr) {
                const std::string place = path + std::string(option.nesting);
                const auto written = std::ranges::find(written_, nested, &Section::mapping);
                takes += "; see " + link(written == written_.end() ? place : written->path);
                if (written == written_.end()) {
                    inner.push_back({place, nested});
                    written_.push_back(inner.back());
                }
            }
            out_ << "| " << code(option.key) << " | " << takes << " | "
                 << default_text(option, defaults, nested) << " | " << cell(option.help)
                 << (option.fixed ? "; needs a restart to change" : "") << " |\n";
        }
        return inner;
    }

    static std::string capitalised(std::string text) {
        if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
            text[0] = static_cast<char>(text[0] - 'a' + 'A');
        return text;
    }

    static std::string length(const Option& option) {
        if (!option.constraint.length)
            return {};
        const auto [low, high] = *option.constraint.length;
        if (high == SIZE_MAX)
            return "; length at least " + std::to_string(low);
        return "; length " + std::to_string(low) + " to " + std::to_string(high);
    }

    static std::string default_text(const Option& option, const Node& defaults, const MappingBase* nested) {
        if (option.required)
            return "required";
        const auto* entry = defaults.find(option.key);
        if (entry == nullptr)
            return "none";
        const Node& value = entry->value;
        if (nested != nullptr && value.is_mapping() && option.nesting.empty())
            return "";
        if ((value.is_sequence() && value.items.empty()) || (value.is_mapping() && value.entries.empty()))
            return "none";
        return code(inline_text(value));
    }

    std::ostream& out_;
    std::vector<Section> written_;
};

}  // namespace

void write_reference(std::ostream& out, const MappingBase& schema) {
    ReferenceWriter(out).write(schema);
}

}  // namespace sluice::config
