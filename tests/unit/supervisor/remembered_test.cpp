#include "supervisor/remembered.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "ctl/spec_json.hpp"
#include "supervisor/records.hpp"

using namespace cluster;
using namespace cluster::supervisor;

namespace {

core::WorkerSpec spec_of(const std::string& name, std::uint32_t instances) {
    core::WorkerSpec spec;
    spec.name = name;
    spec.instances = instances;
    spec.launch.command = {"/bin/true"};
    spec.launch.cwd = "/";
    return spec;
}

DaemonRecord full_record() {
    DaemonRecord record;
    record.log_dir = "/var/log/\xff";
    record.spec.log_level = "debug";
    record.spec.parallel_starts = 7;
    record.spec.log_dir = "/srv/\"logs\"";
    record.config = "/srv/site.toml";
    record.is_remembered = true;
    record.channel.max_line = 8192;
    record.channel.slow_reader = core::SlowReader::disconnect;
    core::ChannelRule rule;
    rule.match = {{"a", true}, {"b", std::int64_t{-5}}, {"c", 1.0}, {"d", std::string("x")}};
    rule.incr = "hits";
    rule.log = true;
    record.channel.rules = {rule, {}};
    record.stores.resize(2);
    record.stores[1].name = "sessions";
    return record;
}

/// As the state of a version that kept the keys sorted.
std::string sorted(const std::string& text) {
    return nlohmann::json::parse(text).dump();
}

std::string problem_of(const std::string& text) {
    const auto state = parse_remembered(text);
    return state ? "none" : state.error();
}

}  // namespace

TEST_CASE("supervisor/records: the daemon's record comes back as it went, in whatever order") {
    const DaemonRecord record = full_record();
    const std::string text = render_daemon(record);
    for (const std::string& each : {text, sorted(text)}) {
        const DaemonRecord read = parse_daemon(each);
        CHECK(read.log_dir == "/var/log/\xef\xbf\xbd");
        CHECK(read.spec == record.spec);
        CHECK(read.channel == record.channel);
        CHECK(read.config == record.config);
        CHECK(read.is_remembered);
        CHECK(read.stores == record.stores);
    }
}

TEST_CASE("supervisor/records: what cannot be read of the daemon is as by default") {
    const DaemonRecord plain;
    for (const std::string text :
         {"", "nonsense", "[]", "7", "{}", R"({"log_dir":1,"log_level":null,"parallel_starts":-1})",
          R"({"channel":[],"stores":{},"config":false,"is_remembered":"true"})",
          R"({"channel":{"max_line":"8192","rules":{"match":1},"disconnects":1}})"}) {
        CAPTURE(text);
        const DaemonRecord read = parse_daemon(text);
        CHECK(read.spec == plain.spec);
        CHECK(read.channel == plain.channel);
        CHECK(read.stores.empty());
        CHECK_FALSE(read.config.has_value());
        CHECK_FALSE(read.is_remembered);
    }
    // Each store keeps its place.
    const DaemonRecord read = parse_daemon(R"({"stores":[1,{"name":5},null]})");
    CHECK(read.stores == std::vector<core::StoreSpec>(3));
    CHECK(parse_daemon(std::string(100'000, '[')).spec == plain.spec);
}

TEST_CASE(
    "supervisor/remembered: a state is read with its keys in any order, what is missing by "
    "default") {
    const std::string spec = ctl::render_spec(spec_of("api", 3));
    const std::string text = R"({"version": 1, "daemon": )" + render_daemon(full_record()) +
                             R"(, "stores": [)" + ctl::render_store({}) +
                             R"(], "workers": [{"spec": )" + spec +
                             R"(, "wanted": [true, null]}]})";
    for (const std::string& each : {text, sorted(text)}) {
        const auto state = parse_remembered(each);
        REQUIRE(state.has_value());
        REQUIRE(state->workers.size() == 1);
        CHECK(state->workers[0].spec == spec_of("api", 3));
        CHECK(state->workers[0].wanted == std::vector<bool>{true, false, false});
        CHECK(state->stores.size() == 1);
        CHECK(state->daemon.spec.parallel_starts == 7);
    }
    CHECK(problem_of(R"({"version":1,"workers":[]})") == "none");
    CHECK(problem_of(R"({"version":1,"workers":[{"spec":)" + spec + R"(,"wanted":null}]})") ==
          "none");
}

TEST_CASE("supervisor/remembered: wrong types are refused with a reason") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", "not a state file of version 1"},
        {"{", "not a state file of version 1"},
        {"[]", "not a state file of version 1"},
        {std::string(100'000, '['), "not a state file of version 1"},
        {R"({"version":2,"workers":[]})", "not a state file of version 1"},
        {R"({"version":"1","workers":[]})", "not a state file of version 1"},
        {R"({"version":1})", "it lists no workers"},
        {R"({"version":1,"workers":{}})", "it lists no workers"},
        {R"({"version":1,"workers":[],"stores":1})", "its stores are no list"},
        {R"({"version":1,"workers":[],"stores":[1]})", "store: expected an object, got number"},
        {R"({"version":1,"workers":[1]})", "a worker without spec or wanted"},
        {R"({"version":1,"workers":[{"spec":{}}]})", "a worker without spec or wanted"},
        {R"({"version":1,"workers":[{"spec":1,"wanted":[]}]})",
         "spec: expected an object, got number"}};
    for (const auto& [text, problem] : cases) CHECK(problem_of(text) == problem);
}
