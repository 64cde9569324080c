// A struct with a member of every kind that can be declared, for the tests and the fuzzer of this folder.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/mapping.hh"

namespace sluice::config::example {

enum class Colour { red, green, dark_blue };
enum class Unlimited { unlimited };
enum class Automatic { automatic };

struct Leaf {
    std::string name;
    uint16_t number = 7;
    Location at;
    bool operator==(const Leaf&) const = default;
};

struct Shared {
    std::optional<IpPrefix> saddr;
    std::vector<PortRange> ports;
    bool operator==(const Shared&) const = default;
};

// accept, or {jump: chain}.
struct Action {
    std::string jump;  // empty: accept
    bool operator==(const Action&) const = default;
};

struct Everything {
    bool flag = true;
    uint8_t tiny = 1;
    int64_t balance = -5;
    uint64_t huge = 0;
    std::string text = "default";
    MacAddress mac;
    Ip4Address ip4;
    Ip6Address ip6;
    std::optional<IpAddress> ip;
    IpPrefix prefix;
    InterfaceAddress address{Ip4Address::from_host(0xc0a80101), 24};
    Duration wait = std::chrono::seconds(30);
    std::chrono::seconds age{300};
    Rate rate{10, Rate::Unit::second};
    Bytes size{uint64_t{64} << 10};
    Port port{80};
    Endpoint endpoint;
    Percent share{200};
    FileMode mode{0660};
    Path file;
    Colour colour = Colour::green;
    std::vector<Colour> colours{Colour::red, Colour::dark_blue};
    std::vector<std::string> words;
    Leaf leaf{.name = "first", .number = 7, .at = {}};
    std::optional<Leaf> maybe_leaf;
    std::vector<Leaf> leaves;
    std::map<std::string, uint32_t> sorted;
    Named<Leaf> named;
    std::variant<uint16_t, std::vector<uint16_t>, Automatic> workers = uint16_t{1};
    std::variant<Rate, Unlimited> errors = Rate{1000, Rate::Unit::second};
    Located<uint32_t> located;
    Reference reference;
    std::vector<Reference> references;
    Shared shared;
    Action action;
    bool operator==(const Everything&) const = default;
};

}  // namespace sluice::config::example

namespace sluice::config {

template <>
struct EnumNames<example::Colour> {
    static constexpr auto names = std::to_array<EnumName<example::Colour>>({
        {example::Colour::red, "red"},
        {example::Colour::green, "green"},
        {example::Colour::dark_blue, "dark_blue"},
    });
};

template <>
struct EnumNames<example::Unlimited> {
    static constexpr auto names =
        std::to_array<EnumName<example::Unlimited>>({{example::Unlimited::unlimited, "unlimited"}});
};

template <>
struct EnumNames<example::Automatic> {
    static constexpr auto names =
        std::to_array<EnumName<example::Automatic>>({{example::Automatic::automatic, "auto"}});
};

template <>
struct Custom<example::Action> {
    static std::string expected();
    static std::optional<example::Action> read(const Node& node, Context& context);
    static Node print(const example::Action& value);
};

template <>
struct Schema<example::Leaf> {
    static const Mapping<example::Leaf>& get();
};

template <>
struct Schema<example::Shared> {
    static const Mapping<example::Shared>& get();
};

template <>
struct Schema<example::Everything> {
    static const Mapping<example::Everything>& get();
};

}  // namespace sluice::config
