#include "filter/set_fields.hh"

#include <array>

namespace sluice::filter {
namespace {

using sets::FieldKind;

FieldKind kind_of(Field field) {
    switch (field) {
        case Field::sport:
        case Field::dport:
            return FieldKind::port;
        case Field::mac_saddr:
            return FieldKind::mac;
        case Field::proto:
            return FieldKind::proto;
        case Field::mark:
            return FieldKind::mark;
        default:
            return FieldKind::ip;
    }
}

}  // namespace

std::vector<Field> natural_fields(const sets::SetType& type) {
    constexpr std::array kAddresses{Field::saddr, Field::daddr};
    constexpr std::array kPorts{Field::dport, Field::sport};
    std::vector<Field> result;
    size_t addresses = 0;
    size_t ports = 0;
    for (const FieldKind kind : type) {
        if (addresses == kAddresses.size() && sets::is_address(kind))
            return {};
        if (ports == kPorts.size() && kind == FieldKind::port)
            return {};
        switch (kind) {
            case FieldKind::ip:
            case FieldKind::net:
                result.push_back(kAddresses[addresses++]);
                break;
            case FieldKind::port:
                result.push_back(kPorts[ports++]);
                break;
            case FieldKind::mac:
                result.push_back(Field::mac_saddr);
                break;
            case FieldKind::proto:
                result.push_back(Field::proto);
                break;
            case FieldKind::mark:
                result.push_back(Field::mark);
                break;
        }
    }
    return result;
}

bool fits(const sets::SetType& type, const std::vector<Field>& fields) {
    if (type.size() != fields.size())
        return false;
    for (size_t i = 0; i < fields.size(); ++i) {
        const FieldKind wanted = kind_of(fields[i]);
        const bool same = type[i] == wanted || (sets::is_address(wanted) && sets::is_address(type[i]));
        if (!same)
            return false;
    }
    return true;
}

std::string fitting_type(const std::vector<Field>& fields) {
    std::string result;
    for (const Field field : fields)
        result += (result.empty() ? "" : ",") + std::string(sets::to_string(kind_of(field)));
    return result;
}

}  // namespace sluice::filter
