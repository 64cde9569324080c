// Every type against a list that is searched from end to end, through random changes and grace periods.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <list>

#include "base/random.hh"
#include "sets/body_builder.hh"
#include "sets/set_test_support.hh"
#include "sets/wide.hh"

namespace sluice::sets {
namespace {

// Draws elements from a small world, so that keys meet.
class World {
  public:
    World(const SetType& type, uint64_t seed) : type_(type), random_(seed) {}

    ElementValue value() {
        ElementValue value;
        value.family = type_.has_address() && random_.below(3) == 0 ? Family::ip6 : Family::ip4;
        size_t at = 0;
        for (const FieldKind kind : type_) {
            const size_t width = width_of(kind, value.family);
            const auto bits = static_cast<unsigned>(width * 8);
            Wide low = number(width);
            Wide high = low;
            if (is_interval(kind) && random_.below(3) != 0) {
                if (random_.below(2) == 0) {
                    const Wide hosts =
                        ones(random_.below(10) == 0 ? random_.below(bits + 1) : random_.below(7));
                    high = low | hosts;
                    low &= ~hosts;
                } else {
                    high = low + std::min<Wide>(random_.below(40), ones(bits) - low);
                }
            }
            store_wide(low, &value.low[at], width);
            store_wide(high, &value.high[at], width);
            at += width;
        }
        return value;
    }
    Fields probe() {
        std::array<uint8_t, kMaxKeyBytes> key{};
        const Family family = type_.has_address() && random_.below(3) == 0 ? Family::ip6 : Family::ip4;
        size_t at = 0;
        for (const FieldKind kind : type_) {
            store_wide(number(width_of(kind, family)), &key[at], width_of(kind, family));
            at += width_of(kind, family);
        }
        return Fields::of_bytes(family, key.data(), at);
    }
    Random& random() { return random_; }

  private:
    Wide number(size_t width) {
        const Wide top = ones(static_cast<unsigned>(width * 8));
        const Wide small = random_.below(60);
        switch (random_.below(8)) {
            case 0:
                return top - small;
            case 1:
                return small;
            default:  // around a place in the middle
                return ((top / 7 * 3) & ~Wide{63}) + small > top ? small
                                                                 : ((top / 7 * 3) & ~Wide{63}) + small;
        }
    }
    SetType type_;
    Random random_;
};

struct Known {
    ElementValue value;
    Instant expires{};  // zero: never

    [[nodiscard]] bool holds(Instant now) const { return expires == Instant{} || now < expires; }
};

class Oracle {
  public:
    explicit Oracle(const SetType& type) : type_(type) {}

    [[nodiscard]] bool contains(const Fields& fields, Instant now) const {
        return std::ranges::any_of(known_, [&](const Known& each) {
            return each.holds(now) && each.value.family == fields.family() &&
                   meets(each.value, fields.bytes(), fields.bytes());
        });
    }
    // As Set::add() of one element: false if refused.
    bool add(const Element& element, Instant now) {
        for (const Known& each : known_)
            if (each.holds(now) && each.value == element.value)
                return true;
        if (type_.size() == 1 && type_.has_interval())
            for (const Known& each : known_)
                if (each.holds(now) && each.value.family == element.value.family &&
                    meets(each.value, element.value.low.data(), element.value.high.data()))
                    return false;
        std::erase_if(known_, [&](const Known& each) { return each.value == element.value; });
        known_.push_back({element.value, element.timeout ? now + *element.timeout : Instant{}});
        return true;
    }
    bool remove(const ElementValue& value, Instant now) {
        return std::erase_if(known_,
                             [&](const Known& each) { return each.holds(now) && each.value == value; }) > 0;
    }
    [[nodiscard]] size_t count(Instant now) const {
        return static_cast<size_t>(
            std::ranges::count_if(known_, [&](const Known& each) { return each.holds(now); }));
    }
    [[nodiscard]] const Known* any(Random& random) const {
        return known_.empty()
                   ? nullptr
                   : &*std::next(known_.begin(), random.below(static_cast<uint32_t>(known_.size())));
    }

  private:
    [[nodiscard]] bool meets(const ElementValue& value, const uint8_t* low, const uint8_t* high) const {
        size_t at = 0;
        for (const FieldKind kind : type_) {
            const size_t width = width_of(kind, value.family);
            if (std::memcmp(high + at, &value.low[at], width) < 0 ||
                std::memcmp(low + at, &value.high[at], width) > 0)
                return false;
            at += width;
        }
        return true;
    }
    SetType type_;
    std::list<Known> known_;
};

class RandomSet : public testing::TestWithParam<const char*> {};

// What a set begins with.
enum class Loaded { nothing, lasting, some_with_times };

void load(Fixture& f, World& world, Oracle& oracle, Loaded loaded, Instant now) {
    BodyBuilder builder = f.set.builder({});
    for (int i = 0; i < 60; ++i) {
        Element element{world.value(), std::nullopt, ""};
        if (loaded == Loaded::some_with_times && i % 4 == 0)
            element.timeout = std::chrono::seconds(1 + world.random().below(20));
        if (oracle.add(element, now)) {
            ASSERT_TRUE(builder.add(element, 0, now));
        }
    }
    ASSERT_TRUE(builder.finish().empty());
    f.set.load(builder);
}

TEST_P(RandomSet, AgreesWithAPlainList) {
    uint64_t seed = 0;
    for (const auto loaded : {Loaded::nothing, Loaded::lasting, Loaded::some_with_times, Loaded::nothing}) {
        SCOPED_TRACE(++seed);
        Fixture f(GetParam());
        World world(f.kind, seed);
        Oracle oracle(f.kind);
        Instant now = at(1);
        if (loaded != Loaded::nothing)
            load(f, world, oracle, loaded, now);
        for (int step = 0; step < 400; ++step) {
            Random& random = world.random();
            switch (random.below(8)) {
                case 0:
                case 1:
                case 2:
                case 3: {
                    Element element{world.value(), std::nullopt, ""};
                    if (random.below(4) == 0)
                        element.timeout = std::chrono::seconds(1 + random.below(20));
                    const bool added = f.set.add(std::span(&element, 1), now).has_value();
                    ASSERT_EQ(added, oracle.add(element, now)) << format(f.kind, element.value);
                    break;
                }
                case 4:
                case 5: {
                    const Known* some = oracle.any(random);
                    const ElementValue value =
                        some != nullptr && random.below(4) != 0 ? some->value : world.value();
                    ASSERT_EQ(f.set.remove(std::span(&value, 1), now).has_value(), oracle.remove(value, now))
                        << format(f.kind, value);
                    break;
                }
                case 6:
                    now += std::chrono::seconds(random.below(4));
                    if (random.below(3) == 0)
                        f.set.sweep(now, 1000);
                    break;
                default:
                    f.grace.pass();
            }
            std::array<Fields, kMaxSetBurst> probes;
            for (auto& probe : probes)
                probe = world.probe();
            const uint64_t found = f.lookup_burst(probes, now);
            for (size_t i = 0; i < probes.size(); ++i) {
                const bool expected = oracle.contains(probes[i], now);
                ASSERT_EQ(f.set.contains(probes[i], now), expected);
                ASSERT_EQ((found >> i & 1) != 0, expected);
            }
        }
        size_t listed = 0;
        SetCursor cursor;
        while (f.set.for_each(cursor, 7, now, [&](const ElementStatus& status) {
            ++listed;
            EXPECT_EQ(*parse_element(f.kind, format(f.kind, status.value)), status.value);
        })) {
        }
        EXPECT_EQ(listed, oracle.count(now));
    }
}

INSTANTIATE_TEST_SUITE_P(Types, RandomSet,
                         testing::Values("ip", "net", "port", "mac", "proto", "mark", "ip,port", "net,port",
                                         "ip,port,ip", "net,net", "net,port,net", "port,port", "mac,ip",
                                         "proto,port", "mark,net"),
                         [](const auto& tested) {
                             std::string name = tested.param;
                             std::ranges::replace(name, ',', '_');
                             return name;
                         });

TEST(RandomBulk, ALargeSetIsAllThere) {
    for (const char* kind : {"ip", "net", "ip,port"}) {
        Fixture f(kind, {.size = 200'000});
        Random random(3);
        std::vector<Element> elements;
        for (uint32_t i = 0; i < 100'000; ++i) {
            Fields fields;
            if (i % 4 == 0)
                fields.add(Ip6Address({0x20, 1, 0xd, 0xb8, 0, 0, static_cast<uint8_t>(i >> 16), 0, 0, 0, 0, 0,
                                       0, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)}));
            else
                fields.add(Ip4Address::from_host(i * 2654435761U));
            if (f.kind.size() == 2)
                fields.add(Be16::from_host(static_cast<uint16_t>(i)));
            elements.push_back({ElementValue::of(fields), std::nullopt, ""});
        }
        ASSERT_TRUE(f.set.add(elements, at(1)));
        f.grace.pass();
        EXPECT_EQ(f.set.element_count(), elements.size());
        for (const Element& element : elements) {
            const Fields fields = Fields::of_bytes(element.value.family, element.value.low.data(),
                                                   f.kind.key_bytes(element.value.family));
            ASSERT_TRUE(f.set.contains(fields, at(1)));
        }
        std::vector<ElementValue> half;
        for (size_t i = 0; i < elements.size(); i += 2)
            half.push_back(elements[i].value);
        ASSERT_TRUE(f.set.remove(half, at(1)));
        f.grace.pass();
        for (size_t i = 0; i < elements.size(); ++i)
            ASSERT_EQ(f.set.find(elements[i].value, at(1)).has_value(), i % 2 == 1);
    }
}

}  // namespace
}  // namespace sluice::sets
