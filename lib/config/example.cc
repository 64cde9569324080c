#include "config/example.hh"

#include <limits>

namespace sluice::config {

using namespace example;

std::string Custom<Action>::expected() {
    return "accept or {jump: CHAIN}";
}

std::optional<Action> Custom<Action>::read(const Node& node, Context& context) {
    if (node.is_scalar() && node.text == "accept") {
        return Action{};
    }
    if (node.is_mapping() && node.entries.size() == 1 && node.entries[0].key == "jump") {
        Context inside = context.inside("jump", node.entries[0].value);
        if (auto chain = read_as<std::string>(inside); chain && !chain->empty()) {
            return Action{*chain};
        }
        return std::nullopt;
    }
    context.problem("this is no action", "expected " + expected());
    return std::nullopt;
}

Node Custom<Action>::print(const Action& value) {
    if (value.jump.empty()) {
        return Node::string("accept");
    }
    Node node = Node::mapping();
    node.append("jump", Node::string(value.jump));
    return node;
}

const Mapping<Leaf>& Schema<Leaf>::get() {
    static const auto mapping =
        Mapping<Leaf>("a leaf")
            .required("name", &Leaf::name, "what it is called")
            .length(1, 20)
            .optional("number", &Leaf::number, "how many")
            .range(1, 1024)
            .location(&Leaf::at)
            .check([](const Leaf& leaf, Context& context) {
                if (leaf.number == 13) {
                    context.problem_at("number", "13 is unlucky", "expected any other number");
                }
            });
    return mapping;
}

const Mapping<Shared>& Schema<Shared>::get() {
    static const auto mapping = Mapping<Shared>("matches")
                                    .optional("saddr", &Shared::saddr, "source")
                                    .optional("ports", &Shared::ports, "ports")
                                    .list_or_one();
    return mapping;
}

const Mapping<Everything>& Schema<Everything>::get() {
    static const auto mapping = Mapping<Everything>("an example")
                                    .optional("flag", &Everything::flag, "a switch")
                                    .optional("tiny", &Everything::tiny, "a small number")
                                    .optional("balance", &Everything::balance, "a signed number")
                                    .range(-1000, 1000)
                                    .optional("huge", &Everything::huge, "a large number")
                                    .optional("text", &Everything::text, "a text")
                                    .optional("mac", &Everything::mac, "an Ethernet address")
                                    .optional("ip4", &Everything::ip4, "an IPv4 address")
                                    .optional("ip6", &Everything::ip6, "an IPv6 address")
                                    .optional("ip", &Everything::ip, "an address")
                                    .optional("prefix", &Everything::prefix, "a network")
                                    .optional("address", &Everything::address, "an address with its network")
                                    .optional("wait", &Everything::wait, "how long")
                                    .range(std::chrono::milliseconds(10), std::chrono::hours(24))
                                    .optional("age", &Everything::age, "how old")
                                    .optional("rate", &Everything::rate, "how often")
                                    .optional("size", &Everything::size, "how much")
                                    .range(Bytes{0}, Bytes{uint64_t{1} << 40})
                                    .optional("port", &Everything::port, "a port")
                                    .range(1, 65535)
                                    .optional("endpoint", &Everything::endpoint, "an address and a port")
                                    .optional("share", &Everything::share, "a share")
                                    .optional("mode", &Everything::mode, "permissions")
                                    .optional("file", &Everything::file, "a file")
                                    .optional("colour", &Everything::colour, "a colour")
                                    .fixed()
                                    .optional("colours", &Everything::colours, "some colours")
                                    .optional("words", &Everything::words, "some words")
                                    .length(0, 5)
                                    .list_or_one()
                                    .optional("leaf", &Everything::leaf, "one leaf")
                                    .fixed()
                                    .optional("maybe_leaf", &Everything::maybe_leaf, "perhaps a leaf")
                                    .optional("leaves", &Everything::leaves, "leaves")
                                    .optional("sorted", &Everything::sorted, "numbers by name")
                                    .range(0, 1000000)
                                    .optional("named", &Everything::named, "leaves by name")
                                    .optional("workers", &Everything::workers, "how many, or which CPUs")
                                    .range(1, 64)
                                    .optional("errors", &Everything::errors, "how often, or unlimited")
                                    .optional("located", &Everything::located, "a number with its place")
                                    .optional("reference", &Everything::reference, "the name of a leaf")
                                    .optional("references", &Everything::references, "names of leaves")
                                    .list_or_one()
                                    .include(&Everything::shared)
                                    .optional("action", &Everything::action, "what to do")
                                    .cross_check([](const Everything& value, Context& context) {
                                        const auto names = value.named.names();
                                        resolve(value.reference, "leaf", names, context.problems());
                                        for (const auto& each : value.references) {
                                            resolve(each, "leaf", names, context.problems());
                                        }
                                    });
    return mapping;
}

}  // namespace sluice::config
