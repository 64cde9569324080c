// For the tests of sets: a set that is watched, and grace periods by hand.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "sets/element_lines.hh"
#include "sets/set.hh"

namespace sluice::sets {

// Collects what is to be freed until the test says that all workers were quiescent.
class Grace {
  public:
    Retire retire() {
        return [this](std::function<void()> fn) { waiting_.push_back(std::move(fn)); };
    }
    void pass() {
        while (!waiting_.empty()) {
            auto fn = std::move(waiting_.front());
            waiting_.pop_front();
            fn();
        }
    }
    [[nodiscard]] size_t waiting() const { return waiting_.size(); }
    ~Grace() { pass(); }

  private:
    std::deque<std::function<void()>> waiting_;
};

inline Instant at(double seconds) {
    return Instant(Duration(static_cast<int64_t>(seconds * 1e9)));
}

inline SetType type_of(std::string_view text) {
    return *SetType::parse(text);
}

inline Element element(const SetType& type, std::string_view line) {
    auto parsed = parse_line(type, line);
    EXPECT_TRUE(parsed && *parsed) << line;
    return parsed && *parsed ? **parsed : Element{};
}

// The key of a single element.
inline Fields probe(const SetType& type, std::string_view text) {
    const auto value = element(type, text).value;
    return Fields::of_bytes(value.family, value.low.data(), type.key_bytes(value.family));
}

struct Fixture {
    explicit Fixture(std::string_view type, SetOptions options = {})
        : kind(type_of(type)), set("test", with(options, kind), 42, grace.retire()) {}
    static SetOptions with(SetOptions options, const SetType& type) {
        options.type = type;
        return options;
    }

    // "" or what is wrong.
    std::string add(std::initializer_list<std::string_view> lines, Instant now = at(1)) {
        std::vector<Element> elements;
        for (const auto line : lines)
            elements.push_back(element(kind, line));
        const auto done = set.add(elements, now);
        return done ? "" : done.error().text();
    }
    std::string remove(std::initializer_list<std::string_view> texts, Instant now = at(1)) {
        std::vector<ElementValue> values;
        for (const auto text : texts)
            values.push_back(element(kind, text).value);
        const auto done = set.remove(values, now);
        return done ? "" : done.error().text();
    }
    [[nodiscard]] bool has(std::string_view text, Instant now = at(1)) const {
        const Fields fields = probe(kind, text);
        const bool found = set.contains(fields, now);
        EXPECT_EQ(lookup_burst(std::span(&fields, 1), now), found ? 1U : 0U) << text;
        return found;
    }
    // Where elements are addresses and the probes of IPv4 too, both ways to ask say the same.
    [[nodiscard]] uint64_t lookup_burst(std::span<const Fields> probes, Instant now) const {
        const uint64_t found = set.lookup_burst(probes, now);
        if (kind.size() != 1 || !is_address(kind[0]))
            return found;
        std::array<Ip4Address, kMaxSetBurst> addresses;
        uint64_t ip4 = 0;
        for (size_t i = 0; i < probes.size(); ++i) {
            addresses[i] = Ip4Address::load(probes[i].bytes());
            ip4 |= uint64_t{probes[i].family() == Family::ip4} << i;
        }
        EXPECT_EQ(set.lookup_burst(std::span(addresses).first(probes.size()), now, ip4), found & ip4);
        return found;
    }
    [[nodiscard]] std::string list(Instant now = at(1)) const {
        std::string result;
        SetCursor cursor;
        while (set.for_each(cursor, 3, now, [&](const ElementStatus& status) {
            result += (result.empty() ? "" : " ") + format(kind, status.value);
        })) {
        }
        return result;
    }

    Grace grace;
    SetType kind;
    Set set;
};

}  // namespace sluice::sets
