// Reads answers of the API leniently: what is missing is empty or zero, so that a newer or older box can be
// asked too.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace sluice::sluicectl {

// The member of an object, or null.
const boost::json::value& member(const boost::json::value& object, std::string_view name);
bool has(const boost::json::value& object, std::string_view name);
// The member as a number; 0 if it is none.
double number(const boost::json::value& object, std::string_view name);
// The member in words.
std::string text(const boost::json::value& object, std::string_view name);
// A value in words: lists as "a, b", objects as "name value, name value", null as nothing.
std::string words(const boost::json::value& value);
// The items of a list ({"items": [...], "total": N}, or the list itself), none if it is neither.
const boost::json::array& items(const boost::json::value& list);

}  // namespace sluice::sluicectl
