// What each command of sluicectl does: asks the API, prints what it answered. Every function gives the exit
// code.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "admin/client.hh"
#include "sluicectl/render.hh"

namespace sluice::sluicectl {

inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;
inline constexpr int kUsage = 2;

// Names and values behind the ? of a target.
using Query = std::map<std::string, std::string>;
// The target with these behind it, escaped.
std::string with_query(std::string target, const Query& query);

// Where the program reads and writes.
struct Console {
    std::istream& in;
    std::ostream& out;
    std::ostream& err;
    bool terminal = false;  // out is one
    bool colours = false;
};

// What `set add` and `set del` were given.
struct SetElements {
    std::vector<std::string> values;
    std::string file;
    std::string timeout;
    std::string comment;
};

class Commands {
  public:
    Commands(Console& console, std::string socket, bool json)
        : console_(console), client_(std::move(socket)), json_(json), look_{console.colours} {}

    using Renderer = std::function<std::string(const boost::json::value&)>;

    // Asks, and prints the answer as it came with --json, otherwise rendered.
    int ask(std::string_view method, std::string_view target, const Renderer& render,
            std::string_view body = {});

    int status();
    int interfaces(const std::vector<std::string>& names);
    int workers();
    int drops();
    // Polls and prints what was dropped since; `rounds` times, 0 for ever.
    int watch_drops(double interval, unsigned rounds);
    int counters(bool zeros);
    int routes();
    int neighbours();
    // Draws again and again on a terminal, otherwise or with `once` one time.
    int top(double interval, bool once);

    // One line a flow, as conntrack -L prints it; how many there were goes to the standard error.
    int conntrack_list(const Query& query);
    int conntrack_count(const Query& query);
    int conntrack_stats();
    // Until the box or the reader goes away.
    int conntrack_events(const Query& query);
    int conntrack_delete(const Query& query);

    // All chains, or those named.
    int rules(const std::vector<std::string>& chains);
    int rules_reset();

    // A table of mappings; how many there are goes to the standard error if not all are shown.
    int nat(const Query& query);
    int nat_ports();
    // ADDRESS:PORT, IPv6 addresses in brackets; ADDRESS alone where the protocol has no ports. `at`: nothing,
    // or when.
    int nat_who(const std::string& endpoint, const std::string& protocol, const std::string& at);

    int set_list();
    // The elements, as lines that `set load` reads.
    int set_show(const std::string& name, const Query& query);
    // Those of a file if one is named, - being the standard input, otherwise those given.
    int set_add(const std::string& name, const SetElements& elements);
    int set_del(const std::string& name, const SetElements& elements);
    // Refused if the element is not in the set.
    int set_test(const std::string& name, const std::string& element);
    // Without a file what the configuration declares is read anew.
    int set_load(const std::string& name, const std::string& file);
    int set_flush(const std::string& name);
    int set_swap(const std::string& name, const std::string& other);

    int config_show();
    int config_check(const std::string& file);
    int config_diff(const std::string& file);
    // confirm in seconds; 0: no confirmation needed. cut: ends the flows that the new rules would not have
    // let begin.
    int config_apply(const std::string& file, double confirm, bool cut);
    int config_confirm();
    int config_rollback();
    int reload();
    // A level, or a JSON object with the members of the `log` section that are to change.
    int log(const std::string& wanted);
    int stop();

  private:
    // The answer as it came; tells of a failure itself.
    Expected<std::string> fetch(std::string_view method, std::string_view target, std::string_view body,
                                int& exit_code);
    Expected<boost::json::value> fetch_json(std::string_view target, int& exit_code);
    // An answer that may be long, item by item as it comes; `depth` as in JsonItems.
    int stream(std::string_view target, int depth, const Renderer& render);
    int post_file(std::string_view target, const std::string& file, const Renderer& render,
                  std::string_view method = "POST");
    int change_set(std::string_view method, const std::string& name, const SetElements& elements);

    Console& console_;
    admin::Client client_;
    bool json_;
    Look look_;
};

}  // namespace sluice::sluicectl
