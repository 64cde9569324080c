#include "sluicectl/json_view.hh"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "sluicectl/units.hh"

namespace sluice::sluicectl {

namespace json = boost::json;

const json::value& member(const json::value& object, std::string_view name) {
    static const json::value none;
    const auto* fields = object.if_object();
    const auto* found = fields ? fields->if_contains(name) : nullptr;
    return found ? *found : none;
}

bool has(const json::value& object, std::string_view name) {
    return !member(object, name).is_null();
}

double number(const json::value& object, std::string_view name) {
    const json::value& value = member(object, name);
    return value.is_number() ? value.to_number<double>() : 0;
}

std::string text(const json::value& object, std::string_view name) {
    return words(member(object, name));
}

std::string words(const json::value& value) {
    std::string result;
    switch (value.kind()) {
        case json::kind::null:
            return "";
        case json::kind::bool_:
            return value.get_bool() ? "yes" : "no";
        case json::kind::int64:
            return std::to_string(value.get_int64());
        case json::kind::uint64:
            return std::to_string(value.get_uint64());
        case json::kind::double_:
            return number_text(value.get_double());
        case json::kind::string:
            return {value.get_string().begin(), value.get_string().end()};
        case json::kind::array:
            for (const json::value& item : value.get_array())
                result += (result.empty() ? "" : ", ") + words(item);
            return result;
        case json::kind::object:
            for (const auto& [name, item] : value.get_object())
                result += (result.empty() ? "" : ", ") + std::string(name) + " " + words(item);
            return result;
    }
    return result;
}

const json::array& items(const json::value& list) {
    static const json::array none;
    const json::value& inner = list.is_array() ? list : member(list, "items");
    return inner.is_array() ? inner.get_array() : none;
}

}  // namespace sluice::sluicectl
