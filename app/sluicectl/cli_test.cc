// The commands against a server in the same process.
#include "sluicectl/cli.hh"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <thread>

#include "admin/server.hh"

namespace sluice::sluicectl {
namespace {

using admin::Request;
using admin::Response;

class CliTest : public testing::Test {
  protected:
    CliTest() {
        std::string name = testing::TempDir() + "sluice_XXXXXX";
        directory = mkdtemp(name.data());
        socket = directory + "/test.sock";
        unsetenv("SLUICE_SOCKET");
        for (const std::string path :
             {"/v1/status", "/v1/interfaces", "/v1/workers", "/v1/drops", "/v1/counters", "/v1/routes",
              "/v1/neighbours", "/v1/config", "/v1/nat", "/v1/nat/ports", "/v1/nat/who"})
            answer("GET", path, R"({"items": [], "total": 0})");
        answer("GET", "/v1/rules", R"({"items": [{"chain": "filter.forward", "policy": "drop", "rules": []},
                                                 {"chain": "chains.guard", "rules": []}], "total": 2})");
        answer("POST", "/v1/rules/reset", R"({"reset": true})");
        for (const std::string path : {"/v1/config/check", "/v1/config/diff", "/v1/config/apply",
                                       "/v1/config/confirm", "/v1/config/rollback", "/v1/reload", "/v1/stop"})
            answer("POST", path, R"({"generation": 7})");
        answer("PUT", "/v1/log", R"({"level": "debug"})");
        EXPECT_TRUE(server.listen({.path = socket}));
        thread = std::thread([this] { loop.run(); });
    }
    ~CliTest() override {
        loop.stop();
        thread.join();
        std::filesystem::remove_all(directory);
    }
    void answer(const std::string& method, const std::string& path, const std::string& body) {
        bodies[path] = body + "\n";
        verbs.add(method, path, "", [this, path](const Request& request) {
            last = request;
            return refuse ? Response::error(422, "not like that", "do it well")
                          : Response::text(admin::kJson, bodies[path]);
        });
    }
    int ctl(std::vector<std::string> arguments, const std::string& input = "") {
        arguments.insert(arguments.begin(), {"-s", socket});
        return bare(std::move(arguments), input);
    }
    int bare(std::vector<std::string> arguments, const std::string& input = "") {
        std::istringstream in(input);
        std::ostringstream to_out;
        std::ostringstream to_err;
        const int code = run(std::move(arguments), {in, to_out, to_err});
        out = to_out.str();
        err = to_err.str();
        return code;
    }

    std::string directory;
    std::string socket;
    admin::Verbs verbs;
    admin::ControlLoop loop{{}};
    admin::Server server{loop, verbs};
    std::thread thread;
    std::map<std::string, std::string> bodies;
    Request last;
    bool refuse = false;
    std::string out;
    std::string err;
};

TEST_F(CliTest, every_listing_renders_and_gives_raw_json) {
    for (const std::string command :
         {"status", "interfaces", "workers", "drops", "counters", "routes", "neighbours"}) {
        EXPECT_EQ(ctl({command}), kDone) << err;
        EXPECT_FALSE(out.empty());
        EXPECT_EQ(last.path, "/v1/" + command);
        EXPECT_EQ(ctl({"--json", command}), kDone);
        EXPECT_EQ(out, bodies[last.path]);
        EXPECT_EQ(ctl({command, "--json"}), kDone) << "options of the program may follow the command";
        EXPECT_EQ(out, bodies[last.path]);
    }
}

TEST_F(CliTest, config_commands_send_the_file_and_its_name) {
    const std::string file = directory + "/a b.yaml";
    std::ofstream(file) << "engine: {}\n";
    for (const std::string command : {"check", "diff", "apply"}) {
        EXPECT_EQ(ctl({"config", command, file}), kDone) << err;
        EXPECT_EQ(last.path, "/v1/config/" + command);
        EXPECT_EQ(last.body, "engine: {}\n");
        EXPECT_EQ(last.query_value("file"), file);
    }
    EXPECT_EQ(ctl({"config", "apply", "--confirm", "30", "-"}, "zones: {}"), kDone);
    EXPECT_EQ(last.query_value("confirm"), "30");
    EXPECT_EQ(last.query_value("file"), std::nullopt);
    EXPECT_EQ(last.body, "zones: {}");
    EXPECT_EQ(out, "generation 7 is in force\n");
    EXPECT_EQ(ctl({"config", "apply", "--cut", "--confirm", "30", "-"}, "{}"), kDone);
    EXPECT_EQ(last.query_value("cut"), "true");
    EXPECT_EQ(last.query_value("confirm"), "30");
    EXPECT_EQ(ctl({"config", "apply", "--cut", file}), kDone);
    EXPECT_EQ(last.query_value("cut"), "true");
    EXPECT_EQ(ctl({"config", "confirm"}), kDone);
    EXPECT_EQ(ctl({"config", "rollback"}), kDone);
    EXPECT_EQ(last.path, "/v1/config/rollback");
    EXPECT_EQ(ctl({"config", "show"}), kDone);
}

TEST_F(CliTest, rules_of_all_chains_or_some) {
    EXPECT_EQ(ctl({"rules"}), kDone) << err;
    EXPECT_NE(out.find("filter.forward\n"), std::string::npos) << out;
    EXPECT_EQ(ctl({"rules", "chains.guard"}), kDone) << err;
    EXPECT_EQ(out, "chains.guard\n");
    EXPECT_EQ(ctl({"rules", "nope"}), kRefused);
    EXPECT_TRUE(err.starts_with("sluicectl: there is no chain nope"));
    EXPECT_EQ(ctl({"--json", "rules"}), kDone);
    EXPECT_EQ(out, bodies["/v1/rules"]);
    EXPECT_EQ(ctl({"rules", "reset"}), kDone);
    EXPECT_EQ(last.method + last.path, "POST/v1/rules/reset");
    EXPECT_EQ(out, "all rules count from zero\n");
    last = {};
    for (const auto& one : {std::vector<std::string>{"rules", "reset", "filter.forward"},
                            std::vector<std::string>{"rules", "filter.forward", "reset"}}) {
        EXPECT_EQ(ctl(one), kUsage) << "it would be all of them";
        EXPECT_EQ(last.path, "");
    }
    EXPECT_EQ(ctl({"--json", "rules", "nope"}), kRefused);
    EXPECT_EQ(out, bodies["/v1/rules"]);
}

TEST_F(CliTest, nat) {
    EXPECT_EQ(ctl({"nat"}), kDone) << err;
    EXPECT_EQ(last.path, "/v1/nat");
    EXPECT_EQ(last.query_value("limit"), "1000");
    EXPECT_EQ(ctl({"--json", "nat", "-a", "10.0.0.1", "-p", "udp", "--port", "53"}), kDone) << err;
    EXPECT_EQ(out, bodies["/v1/nat"]);
    EXPECT_EQ(last.query, (admin::Fields{{"address", "10.0.0.1"}, {"port", "53"}, {"proto", "udp"}}));
    bodies["/v1/nat"] = R"({"items": [{"proto": "udp"}], "total": 7, "ports": []})";
    EXPECT_EQ(ctl({"nat", "--limit", "1"}), kDone);
    EXPECT_EQ(err, "1 of 7 mappings are shown; --limit shows more\n");
    EXPECT_EQ(ctl({"nat", "ports"}), kDone) << err;
    EXPECT_EQ(last.path, "/v1/nat/ports");
    EXPECT_EQ(ctl({"nat", "ports", "--json"}), kDone);
    EXPECT_EQ(out, bodies["/v1/nat/ports"]);
}

TEST_F(CliTest, who_has_an_endpoint) {
    EXPECT_EQ(ctl({"nat", "who", "203.0.113.1:80", "tcp"}), kDone) << err;
    EXPECT_EQ(last.path, "/v1/nat/who");
    EXPECT_EQ(last.query, (admin::Fields{{"address", "203.0.113.1"}, {"port", "80"}, {"proto", "tcp"}}));
    EXPECT_EQ(out, "nobody has or is known to have had 203.0.113.1:80 (tcp)\n");
    EXPECT_EQ(ctl({"nat", "who", "[2001:db8::1]:80", "tcp", "at", "2026-01-01T00:00:00Z"}), kDone) << err;
    EXPECT_EQ(last.query_value("address"), "2001:db8::1");
    EXPECT_EQ(last.query_value("port"), "80");
    EXPECT_EQ(last.query_value("at"), "2026-01-01T00:00:00Z");
    for (const std::string alone : {"203.0.113.1", "2001:db8::1", "[2001:db8::1]"}) {
        EXPECT_EQ(ctl({"nat", "who", alone, "gre"}), kDone) << err;
        EXPECT_EQ(last.query_value("port"), std::nullopt) << alone;
        EXPECT_EQ(last.query_value("address")->find('['), std::string::npos);
    }
    EXPECT_EQ(ctl({"--json", "nat", "who", "203.0.113.1:80", "tcp"}), kDone);
    EXPECT_EQ(out, bodies["/v1/nat/who"]);
    EXPECT_EQ(ctl({"nat", "who", "203.0.113.1:80"}), kUsage);
    EXPECT_EQ(ctl({"nat", "who", "203.0.113.1:80", "tcp", "at"}), kUsage);
    EXPECT_EQ(ctl({"nat", "who", "203.0.113.1:80", "tcp", "on", "monday"}), kUsage);
}

TEST_F(CliTest, changing_commands) {
    EXPECT_EQ(ctl({"reload"}), kDone);
    EXPECT_EQ(last.path, "/v1/reload");
    EXPECT_EQ(ctl({"log", "debug"}), kDone);
    EXPECT_EQ(last.body, R"({"level":"debug"})");
    EXPECT_EQ(out, "level debug\n");
    EXPECT_EQ(ctl({"log", R"({"level": "info", "format": "json"})"}), kDone);
    EXPECT_EQ(last.body, R"({"level": "info", "format": "json"})");
    EXPECT_EQ(ctl({"stop"}), kDone);
    EXPECT_EQ(last.method, "POST");
}

TEST_F(CliTest, refusals) {
    refuse = true;
    EXPECT_EQ(ctl({"reload"}), kRefused);
    EXPECT_EQ(err, "sluicectl: not like that (do it well)\n");
    EXPECT_EQ(out, "");
    EXPECT_EQ(ctl({"--json", "reload"}), kRefused);
    EXPECT_EQ(boost::json::parse(out).at("error").at("hint"), "do it well");
    EXPECT_EQ(ctl({"top", "--once"}), kRefused);
    EXPECT_EQ(ctl({"drops", "--watch"}), kRefused);
    EXPECT_EQ(ctl({"config", "check", "/nonexistent"}), kRefused);
    EXPECT_NE(err.find("cannot read /nonexistent"), std::string::npos);
    EXPECT_EQ(ctl({"config", "check", "/"}), kRefused);
    EXPECT_EQ(bare({"-s", directory + "/none", "status"}), kRefused);
    EXPECT_NE(err.find("is sluice running?"), std::string::npos);
    EXPECT_EQ(std::ranges::count(err, '\n'), 1);
    refuse = false;
    EXPECT_EQ(ctl({"interfaces", "nope"}), kRefused);
}

TEST_F(CliTest, wrong_usage) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{},
                                               {"nonsense"},
                                               {"config"},
                                               {"config", "apply"},
                                               {"log"},
                                               {"--nope"},
                                               {"status", "surplus"},
                                               {"top", "--interval", "0"},
                                               {"config", "apply", "-", "--confirm", "x"},
                                               {"drops", "--rounds", "1"}}) {
        EXPECT_EQ(bare(arguments), kUsage);
        EXPECT_FALSE(err.empty());
    }
}

TEST_F(CliTest, help_everywhere) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"--help"},
                                               {"status", "--help"},
                                               {"config", "--help"},
                                               {"config", "apply", "--help"},
                                               {"drops", "-h"}}) {
        EXPECT_EQ(bare(arguments), kDone);
        EXPECT_NE(out.find("--help"), std::string::npos);
    }
    EXPECT_EQ(bare({"--version"}), kDone);
}

TEST_F(CliTest, the_environment_names_the_socket) {
    setenv("SLUICE_SOCKET", socket.c_str(), 1);
    EXPECT_EQ(bare({"status"}), kDone) << err;
    unsetenv("SLUICE_SOCKET");
}

TEST_F(CliTest, top_and_watch) {
    EXPECT_EQ(ctl({"top", "--interval", "0.1"}), kDone) << err;
    EXPECT_NE(out.find("INTERFACE"), std::string::npos);
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
    EXPECT_EQ(ctl({"--json", "top"}), kDone);
    EXPECT_EQ(std::ranges::count(out, '\n'), 4);
    EXPECT_EQ(ctl({"drops", "--watch", "--rounds", "1", "--interval", "0.1"}), kDone);
    EXPECT_EQ(ctl({"--json", "drops", "--watch", "--rounds", "2", "--interval", "0.1"}), kDone);
    EXPECT_EQ(out, bodies["/v1/drops"] + bodies["/v1/drops"]);
}

TEST(Completion, knows_every_command_and_option) {
    std::ifstream file(SLUICE_COMPLETION);
    ASSERT_TRUE(file);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (const std::string& command : all_commands()) {
        const std::string word = command.substr(command.rfind(' ') + 1);
        EXPECT_NE(text.find(word), std::string::npos) << command;
    }
}

}  // namespace
}  // namespace sluice::sluicectl
