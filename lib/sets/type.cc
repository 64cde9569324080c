#include "sets/type.hh"

#include <algorithm>

namespace sluice::sets {
namespace {

constexpr std::array<std::string_view, 6> kNames{"ip", "net", "port", "mac", "proto", "mark"};
constexpr std::string_view kHint =
    "expected up to three of ip, net, port, mac, proto, mark, as in \"ip,port\"";

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    return text;
}

}  // namespace

std::string_view to_string(FieldKind kind) {
    return kNames[static_cast<size_t>(kind)];
}

Expected<SetType> SetType::parse(std::string_view text) {
    SetType type;
    type.count_ = 0;
    for (std::string_view rest = text;;) {
        const size_t comma = rest.find(',');
        const auto name = std::ranges::find(kNames, trimmed(rest.substr(0, comma)));
        if (name == kNames.end() || type.count_ == kMaxFields)
            return fail("'" + std::string(text) + "' is no type of set", std::string(kHint));
        type.kinds_[type.count_++] = static_cast<FieldKind>(name - kNames.begin());
        if (comma == std::string_view::npos)
            return type;
        rest.remove_prefix(comma + 1);
    }
}

std::string SetType::to_string() const {
    std::string result;
    for (const FieldKind kind : *this) {
        if (!result.empty())
            result += ',';
        result += sets::to_string(kind);
    }
    return result;
}

}  // namespace sluice::sets
