#include "clusterctl/ad_hoc.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "clusterctl/failure.hpp"
#include "ctl/spec_json.hpp"

using cluster::clusterctl::AdHocOptions;
using cluster::clusterctl::Failure;
using cluster::core::WorkerSpec;

namespace {

std::string refusal(const AdHocOptions& options, const std::vector<std::string>& command) {
    try {
        (void)options.make_spec(command);
    } catch (const Failure& failure) {
        CHECK(failure.exit_code == cluster::clusterctl::kUsage);
        return failure.message;
    }
    return "accepted";
}

}  // namespace

TEST_CASE(
    "clusterctl/ad_hoc: without options the program gives the name, and here is the directory") {
    const WorkerSpec spec = AdHocOptions{}.make_spec({"/usr/bin/python3.11", "-m", "x"});
    CHECK(spec.name == "python3_11");
    CHECK(spec.instances == 1);
    CHECK(spec.source.empty());
    CHECK(spec.launch.cwd == std::filesystem::current_path());
    CHECK(spec.launch.command == std::vector<std::string>{"/usr/bin/python3.11", "-m", "x"});
    CHECK_FALSE(spec.launch.base_path.empty());
    CHECK(spec.launch.inherited_env.empty());
    CHECK(cluster::ctl::parse_spec(cluster::ctl::render_spec(spec)) == spec);
}

TEST_CASE("clusterctl/ad_hoc: every option reaches the spec") {
    AdHocOptions options;
    options.name = "web";
    options.instances = "4";
    options.cwd = "/srv/../tmp/";
    options.variables = {"A=1", "B=x=y", "A=2"};
    options.keep_env = true;
    options.restart = "on-failure";
    options.user = "www-data:adm";
    options.group = "site";
    options.store = "sessions";
    options.stop_signal = "INT";
    options.stop_timeout = "3s";
    options.min_uptime = "0s";
    const WorkerSpec spec = options.make_spec({"node"});
    CHECK(spec.name == "web");
    CHECK(spec.instances == 4);
    CHECK(spec.launch.cwd == "/tmp");
    CHECK(spec.launch.store ==
          cluster::core::StoreChoice{cluster::core::StoreChoice::Kind::named, "sessions"});
    CHECK(spec.launch.env.at("A") == "2");
    CHECK(spec.launch.env.at("B") == "x=y");
    CHECK(spec.launch.inherited_env.count("PATH") == 1);
    CHECK(spec.policy.restart == cluster::core::RestartPolicy::on_failure);
    CHECK(spec.launch.user == "www-data");
    CHECK(spec.launch.group == "adm");
    CHECK(spec.group == "site");
    CHECK(spec.policy.stop_signal == 2);
    CHECK(spec.policy.stop_timeout == std::chrono::seconds{3});
    CHECK(spec.policy.min_uptime == std::chrono::seconds{0});
    CHECK(cluster::ctl::parse_spec(cluster::ctl::render_spec(spec)) == spec);

    options.instances = "max";
    CHECK(options.make_spec({"node"}).instances >= 1);
}

TEST_CASE("clusterctl/ad_hoc: what is wrong is said with the option's name") {
    const auto with = [](std::string AdHocOptions::*option, const char* value) {
        AdHocOptions options;
        options.*option = value;
        return refusal(options, {"node"});
    };
    CHECK(with(&AdHocOptions::name, "a b") == "--name: \"a b\" is not a worker's name");
    CHECK(with(&AdHocOptions::name, "all").rfind("--name: ", 0) == 0);
    CHECK(with(&AdHocOptions::instances, "0").rfind("--instances: ", 0) == 0);
    CHECK(with(&AdHocOptions::instances, "+1").rfind("--instances: ", 0) == 0);
    CHECK(with(&AdHocOptions::restart, "x").rfind("--restart: ", 0) == 0);
    CHECK(with(&AdHocOptions::user, ":adm").rfind("--user: ", 0) == 0);
    CHECK(with(&AdHocOptions::user, "me:").rfind("--user: ", 0) == 0);
    CHECK(with(&AdHocOptions::group, "@x").rfind("--group: ", 0) == 0);
    CHECK(with(&AdHocOptions::stop_signal, "SIGNOPE").rfind("--stop-signal: ", 0) == 0);
    CHECK(with(&AdHocOptions::stop_timeout, "10").rfind("--stop-timeout: ", 0) == 0);
    CHECK(with(&AdHocOptions::min_uptime, "-1s").rfind("--min-uptime: ", 0) == 0);

    AdHocOptions variables;
    variables.variables = {"A"};
    CHECK(refusal(variables, {"node"}).rfind("--env: ", 0) == 0);
    CHECK(refusal({}, {}) == "no command behind \"--\"");
    CHECK(refusal({}, {""}) == "no command behind \"--\"");
    CHECK(refusal({}, {"/"}) == "no name can be made from \"/\"");
}

TEST_CASE("clusterctl/ad_hoc: options without a command are noticed") {
    AdHocOptions options;
    CHECK(options.first_given() == nullptr);
    options.keep_env = true;
    CHECK(std::string(options.first_given()) == "--keep-env");
    options.variables = {"A=1"};
    CHECK(std::string(options.first_given()) == "--env");
    options.name = "x";
    CHECK(std::string(options.first_given()) == "--name");
}

TEST_CASE("clusterctl/ad_hoc: the store is one by name, or none") {
    AdHocOptions options;
    CHECK(options.make_spec({"node"}).launch.store == cluster::core::StoreChoice{});
    options.no_store = true;
    CHECK(std::string(options.first_given()) == "--no-store");
    CHECK(options.make_spec({"node"}).launch.store.kind == cluster::core::StoreChoice::Kind::none);
    options.store = "default";
    CHECK(refusal(options, {"node"}) == "--store and --no-store do not go together");
    options.no_store = false;
    CHECK(options.make_spec({"node"}).launch.store.name == "default");
    options.store = "a b";
    CHECK(refusal(options, {"node"}) == "--store: \"a b\" is not a store's name");
}
