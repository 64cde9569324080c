#include "sluicectl/cli.hh"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <ostream>
#include <utility>

namespace sluice::sluicectl {
namespace {

// What the command line sets.
struct Chosen {
    std::string socket{kDefaultSocket};
    bool json = false;
    std::vector<std::string> names;
    std::string file;
    std::string level;
    bool watch = false;
    bool once = false;
    bool all = false;
    double interval = 1;
    unsigned rounds = 0;
    double confirm = 0;
    bool cut = false;
    Query query;
    std::string name;
    std::string other;
    SetElements elements;
    std::function<int(Commands&)> command;
};

constexpr double kShortestInterval = 0.1;
constexpr double kLongest = 86400;

CLI::App* command(CLI::App& parent, Chosen& chosen, const std::string& name, const std::string& help,
                  std::function<int(Commands&)> run) {
    CLI::App* app = parent.add_subcommand(name, help);
    app->callback([&chosen, run = std::move(run)] { chosen.command = run; });
    return app;
}

void add_showing(CLI::App& app, Chosen& c) {
    command(app, c, "status", "version, uptime, configuration, memory, packets",
            [](Commands& commands) { return commands.status(); });
    CLI::App* top = command(app, c, "top", "rates of interfaces and workers, live",
                            [&c](Commands& commands) { return commands.top(c.interval, c.once); });
    top->add_flag("--once", c.once, "measure once and end, as without a terminal");
    top->add_option("--interval", c.interval, "seconds between two looks")
        ->check(CLI::Range(kShortestInterval, kLongest));
    command(app, c, "interfaces", "interfaces, their links, addresses and packets", [&c](Commands& commands) {
        return commands.interfaces(c.names);
    })->add_option("NAME", c.names, "show all there is to know of these");
    command(app, c, "workers", "workers, their load and cycles per packet",
            [](Commands& commands) { return commands.workers(); });
    CLI::App* drops = command(app, c, "drops", "what was dropped and why", [&c](Commands& commands) {
        return c.watch ? commands.watch_drops(c.interval, c.rounds) : commands.drops();
    });
    CLI::Option* watch = drops->add_flag("--watch", c.watch, "go on telling what is dropped");
    drops->add_option("--interval", c.interval, "seconds between two looks")
        ->check(CLI::Range(kShortestInterval, kLongest))
        ->needs(watch);
    drops->add_option("--rounds", c.rounds, "end after so many intervals")->needs(watch);
    command(app, c, "counters", "protocol counters that are not zero, by their SNMP names",
            [&c](Commands& commands) { return commands.counters(c.all); })
        ->add_flag("--all", c.all, "those that are zero too");
    command(app, c, "routes", "routes in force", [](Commands& commands) { return commands.routes(); });
    command(app, c, "neighbours", "neighbours, static and resolved",
            [](Commands& commands) { return commands.neighbours(); });
}

void add_conntrack(CLI::App& app, Chosen& c) {
    CLI::App* conntrack = app.add_subcommand("conntrack", "tracked flows");
    conntrack->require_subcommand(1);
    const auto filtered = [&c](CLI::App* one) {
        const auto part = [&c, one](const std::string& names, const std::string& key,
                                    const std::string& help) {
            one->add_option_function<std::string>(
                names, [&c, key](const std::string& value) { c.query[key] = value; }, help);
        };
        part("-f,--family", "family", "ip4 or ip6");
        part("-p,--proto", "proto", "tcp, udp, icmp ... or a number");
        part("-s,--src", "src", "an address or network the flows come from");
        part("-d,--dst", "dst", "an address or network they go to");
        part("--sport", "sport", "a port");
        part("--dport", "dport", "a port");
        part("--state", "state", "a state of TCP or SCTP, such as ESTABLISHED");
        part("-u,--status", "status", "assured, seen_reply, unreplied, snat ...; !assured: not that");
        part("-m,--mark", "mark", "the flow's mark");
        part("-i,--id", "id", "the flow's id");
        return one;
    };
    filtered(command(*conntrack, c, "list", "flows, a line each",
                     [&c](Commands& commands) { return commands.conntrack_list(c.query); }))
        ->add_option_function<std::string>(
            "--limit", [&c](const std::string& value) { c.query["limit"] = value; }, "at most so many");
    filtered(command(*conntrack, c, "count", "how many flows there are",
                     [&c](Commands& commands) { return commands.conntrack_count(c.query); }));
    command(*conntrack, c, "stats", "counters, by worker",
            [](Commands& commands) { return commands.conntrack_stats(); });
    filtered(command(*conntrack, c, "events", "flows as they begin, change and end",
                     [&c](Commands& commands) { return commands.conntrack_events(c.query); }));
    filtered(command(*conntrack, c, "delete", "end flows; all of them without a filter",
                     [&c](Commands& commands) { return commands.conntrack_delete(c.query); }));
}

void add_rules(CLI::App& app, Chosen& c) {
    CLI::App* rules = app.add_subcommand("rules", "rules and policies, and what they counted");
    rules->add_option("CHAIN", c.names, "only these, such as filter.forward");
    const CLI::App* reset = rules->add_subcommand("reset", "all rules count from zero");
    rules->callback([&c, reset] {
        if (reset->parsed() && !c.names.empty())
            throw CLI::ValidationError("reset", "takes no chain: all rules count from zero");
        c.command = [&c, resets = reset->parsed()](Commands& commands) {
            return resets ? commands.rules_reset() : commands.rules(c.names);
        };
    });
}

void add_nat(CLI::App& app, Chosen& c) {
    CLI::App* nat = app.add_subcommand("nat", "mappings, and the ports they use");
    const auto part = [&c, nat](const std::string& names, const std::string& key, const std::string& help) {
        nat->add_option_function<std::string>(
            names, [&c, key](const std::string& value) { c.query[key] = value; }, help);
    };
    part("-a,--address", "address", "an inside or external address, or a network");
    part("--port", "port", "an inside or external port");
    part("-p,--proto", "proto", "tcp, udp, icmp ... or a number");
    part("--limit", "limit", "at most so many, otherwise 1000");
    CLI::App* ports = command(*nat, c, "ports", "ports in use by external address and protocol; top holders",
                              [](Commands& commands) { return commands.nat_ports(); });
    CLI::App* who = nat->add_subcommand("who", "who has and had an external endpoint");
    who->add_option("ENDPOINT", c.name, "ADDRESS:PORT, [ADDRESS]:PORT for IPv6")->required();
    who->add_option("PROTO", c.other, "tcp, udp, icmp ... or a number")->required();
    who->add_option("AT", c.names, "at TIME: who had it then, as 2026-01-31T13:45:00Z or seconds since 1970")
        ->expected(2);
    nat->callback([&c, ports, who] {
        if (ports->parsed())
            return;
        if (!who->parsed()) {
            c.command = [&c](Commands& commands) { return commands.nat(c.query); };
            return;
        }
        if (!c.names.empty() && c.names.front() != "at")
            throw CLI::ValidationError("AT", "a time is written behind the word at");
        c.command = [&c](Commands& commands) {
            return commands.nat_who(c.name, c.other, c.names.empty() ? std::string() : c.names.back());
        };
    });
}

void add_sets(CLI::App& app, Chosen& c) {
    CLI::App* set = app.add_subcommand("set", "sets of addresses, networks, ports");
    set->require_subcommand(1);
    command(*set, c, "list", "sets, how full they are and what refers to them",
            [](Commands& commands) { return commands.set_list(); });
    const auto named = [&c](CLI::App* one) {
        one->add_option("NAME", c.name, "the set")->required();
        return one;
    };
    named(command(*set, c, "show", "the elements of a set, a line each",
                  [&c](Commands& commands) { return commands.set_show(c.name, c.query); }))
        ->add_option_function<std::string>(
            "--limit", [&c](const std::string& value) { c.query["limit"] = value; }, "at most so many");
    const auto elements = [&c](CLI::App* one) {
        CLI::Option* given =
            one->add_option("ELEMENT", c.elements.values, "as 192.0.2.1, 10.0.0.0/8, 192.0.2.1,443");
        CLI::Option* file =
            one->add_option("-f,--file", c.elements.file, "elements a line each; - is the standard input");
        given->excludes(file);
        return one;
    };
    CLI::App* add =
        elements(named(command(*set, c, "add", "add elements, all or none",
                               [&c](Commands& commands) { return commands.set_add(c.name, c.elements); })));
    add->add_option("--timeout", c.elements.timeout, "how long they stay, such as 10m");
    add->add_option("--comment", c.elements.comment, "for people");
    elements(named(command(*set, c, "del", "remove elements, all or none",
                           [&c](Commands& commands) { return commands.set_del(c.name, c.elements); })));
    named(command(*set, c, "test", "is it in the set? exit code 1 if not",
                  [&c](Commands& commands) { return commands.set_test(c.name, c.other); }))
        ->add_option("ELEMENT", c.other, "an element")
        ->required();
    named(command(*set, c, "load", "replace the content at once", [&c](Commands& commands) {
        return commands.set_load(c.name, c.file);
    }))->add_option("FILE", c.file, "elements a line each; without it the set's own file is read again");
    named(command(*set, c, "flush", "remove all elements",
                  [&c](Commands& commands) { return commands.set_flush(c.name); }));
    named(command(*set, c, "swap", "exchange the contents of two sets",
                  [&c](Commands& commands) { return commands.set_swap(c.name, c.other); }))
        ->add_option("WITH", c.other, "the other set")
        ->required();
}

void add_changing(CLI::App& app, Chosen& c) {
    CLI::App* config = app.add_subcommand("config", "the configuration");
    config->require_subcommand(1);
    command(*config, c, "show", "what is in force, defaults included",
            [](Commands& commands) { return commands.config_show(); });
    const auto with_file = [&](CLI::App* one) {
        one->add_option("FILE", c.file, "a configuration; - is the standard input")->required();
        return one;
    };
    with_file(command(*config, c, "check", "would this file be accepted?",
                      [&c](Commands& commands) { return commands.config_check(c.file); }));
    with_file(command(*config, c, "diff", "what would this file change?",
                      [&c](Commands& commands) { return commands.config_diff(c.file); }));
    CLI::App* apply =
        with_file(command(*config, c, "apply", "put this file in force", [&c](Commands& commands) {
            return commands.config_apply(c.file, c.confirm, c.cut);
        }));
    apply->add_flag("--cut", c.cut, "end the live flows that the new rules would not have let begin");
    apply->add_option("--confirm", c.confirm, "roll back by itself unless confirmed within so many seconds")
        ->check(CLI::Range(1.0, kLongest));
    command(*config, c, "confirm", "keep what was applied with --confirm",
            [](Commands& commands) { return commands.config_confirm(); });
    command(*config, c, "rollback", "return to the configuration before the last",
            [](Commands& commands) { return commands.config_rollback(); });
    command(app, c, "reload", "read the configuration's file again",
            [](Commands& commands) { return commands.reload(); });
    command(app, c, "log", "change the log while running",
            [&c](Commands& commands) { return commands.log(c.level); })
        ->add_option("LEVEL", c.level,
                     "trace, debug, info, warn or error; or a JSON object: {\"level\": ..., \"format\": ...}")
        ->required();
    command(app, c, "stop", "drain and stop the box", [](Commands& commands) { return commands.stop(); });
}

void declare(CLI::App& app, Chosen& chosen) {
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", SLUICE_VERSION);
    app.add_option("-s,--socket", chosen.socket, "the box's admin socket")
        ->envname("SLUICE_SOCKET")
        ->capture_default_str();
    app.add_flag("--json", chosen.json, "print exactly what the API answers");
    add_showing(app, chosen);
    add_conntrack(app, chosen);
    add_rules(app, chosen);
    add_nat(app, chosen);
    add_sets(app, chosen);
    add_changing(app, chosen);
}

constexpr const char* kAbout =
    "Shows and controls a running sluice.\nExit codes: 0 done, 1 refused, 2 wrong usage.";

void list_commands(const CLI::App& app, const std::string& prefix, std::vector<std::string>& result) {
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames())
            result.push_back(prefix + "--" + name);
    }
    for (const CLI::App* inner : app.get_subcommands(nullptr)) {
        result.push_back(prefix + inner->get_name());
        list_commands(*inner, prefix + inner->get_name() + " ", result);
    }
}

}  // namespace

int run(std::vector<std::string> arguments, Console console) {
    CLI::App app(kAbout, "sluicectl");
    Chosen chosen;
    declare(app, chosen);
    try {
        std::ranges::reverse(arguments);  // CLI11 takes a vector from its end
        app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        return app.exit(error, console.out, console.err) == 0 ? kDone : kUsage;
    }
    Commands commands(console, chosen.socket, chosen.json);
    return chosen.command(commands);
}

std::vector<std::string> all_commands() {
    CLI::App app(kAbout, "sluicectl");
    Chosen chosen;
    declare(app, chosen);
    std::vector<std::string> result;
    list_commands(app, "", result);
    return result;
}

}  // namespace sluice::sluicectl
