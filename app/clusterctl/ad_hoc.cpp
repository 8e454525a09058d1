#include "clusterctl/ad_hoc.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "clusterctl/failure.hpp"
#include "clusterctl/view/words.hpp"
#include "conf/cpus.hpp"
#include "conf/values.hpp"
#include "core/selector.hpp"

namespace cluster::clusterctl {
namespace {

template <class Value>
Value value_or_throw(const char* option, tl::expected<Value, std::string> value) {
    if (!value) throw usage_failure(std::string(option) + ": " + value.error());
    return std::move(*value);
}

std::uint32_t read_instances(const std::string& text) {
    if (text.empty()) return 1;
    if (text == "max") return std::min(conf::usable_cpus(), core::kMaxInstancesPerWorker);
    const ScaleBy count = value_or_throw("--instances", parse_scale(text));
    if (!count.instances || *count.instances == 0) {
        throw usage_failure("--instances: expected a number from 1 to " +
                            std::to_string(core::kMaxInstancesPerWorker) + ", or max");
    }
    return *count.instances;
}

std::string read_name(const std::string& given, const std::string& program) {
    const std::string name = given.empty() ? name_from_program(program) : given;
    if (core::is_valid_worker_name(name)) return name;
    if (given.empty()) {
        throw usage_failure("no name can be made from \"" + program + "\"", "give one with --name");
    }
    throw usage_failure("--name: \"" + given + "\" is not a worker's name",
                        "a name has 1 to 64 letters, digits, _ and -, and is not \"all\"");
}

std::string read_directory(const std::string& given) {
    std::error_code error;
    const std::filesystem::path here = std::filesystem::current_path(error);
    if (error)
        throw usage_failure("the current directory: " + error.message(), "give one with --cwd");
    std::string directory = (here / given).lexically_normal().string();
    while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
    return directory;
}

core::RestartPolicy read_restart(const std::string& text) {
    if (text.empty() || text == "always") return core::RestartPolicy::always;
    if (text == "on-failure") return core::RestartPolicy::on_failure;
    if (text == "never") return core::RestartPolicy::never;
    throw usage_failure("--restart: expected always, on-failure or never, got \"" + text + "\"");
}

void read_user(const std::string& text, core::Launch& launch) {
    const std::size_t colon = text.find(':');
    launch.user = text.substr(0, colon);
    if (colon != std::string::npos) launch.group = text.substr(colon + 1);
    const bool is_empty =
        launch.user.empty() || (colon != std::string::npos && launch.group.empty());
    if (is_empty && !text.empty()) {
        throw usage_failure("--user: expected USER or USER:GROUP, got \"" + text + "\"");
    }
}

void read_store(const std::string& name, bool is_without, core::Launch& launch) {
    using Kind = core::StoreChoice::Kind;
    if (is_without && !name.empty()) {
        throw usage_failure("--store and --no-store do not go together");
    }
    if (is_without) launch.store = {.kind = Kind::none, .name = {}};
    if (name.empty()) return;
    if (name != core::kDefaultStore && !core::is_valid_group_name(name)) {
        throw usage_failure("--store: \"" + name + "\" is not a store's name",
                            "a name has 1 to 64 letters, digits, _ and -, and is not \"all\"");
    }
    launch.store = {.kind = Kind::named, .name = name};
}

std::map<std::string, std::string> own_environment() {
    std::map<std::string, std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (const auto pair = parse_variable(*variable)) variables.insert(*pair);
    }
    return variables;
}

}  // namespace

void AdHocOptions::declare(OptionSink& options) {
    options.value("--name", name, "NAME", "Name of the worker (else the program's)");
    options.value("-i,--instances", instances, "N", "How many; max: as many as CPUs");
    options.value("--cwd", cwd, "DIR", "Working directory (else this one)");
    options.values("-e,--env", variables, "K=V", "Set a variable; may be repeated");
    options.flag("--keep-env", keep_env, "Pass all of this shell's environment on");
    options.value("--restart", restart, "POLICY", "always (default), on-failure or never");
    options.value("--user", user, "USER[:GROUP]", "Run as this user");
    options.value("--store", store, "NAME", "The store that it gets (else the default one)");
    options.flag("--no-store", no_store, "It gets no store");
    options.value("--group", group, "NAME", "Group for selectors: @NAME");
    options.value("--stop-signal", stop_signal, "SIGNAL", "Signal that stops it (SIGTERM)");
    options.value("--stop-timeout", stop_timeout, "DURATION", "SIGKILL follows after this (10s)");
    options.value("--min-uptime", min_uptime, "DURATION",
                  "It must live this long to be called good (1s)");
}

const char* AdHocOptions::first_given() const {
    const std::pair<const char*, const std::string*> texts[] = {{"--name", &name},
                                                                {"--instances", &instances},
                                                                {"--cwd", &cwd},
                                                                {"--restart", &restart},
                                                                {"--user", &user},
                                                                {"--store", &store},
                                                                {"--group", &group},
                                                                {"--stop-signal", &stop_signal},
                                                                {"--stop-timeout", &stop_timeout},
                                                                {"--min-uptime", &min_uptime}};
    for (const auto& [option, text] : texts) {
        if (!text->empty()) return option;
    }
    if (!variables.empty()) return "--env";
    if (no_store) return "--no-store";
    return keep_env ? "--keep-env" : nullptr;
}

core::WorkerSpec AdHocOptions::make_spec(const std::vector<std::string>& command) const {
    if (command.empty() || command.front().empty()) {
        throw usage_failure("no command behind \"--\"",
                            "for example: clusterctl start -- node server.js");
    }
    core::WorkerSpec spec;
    spec.name = read_name(name, command.front());
    if (!group.empty() && !core::is_valid_group_name(group)) {
        throw usage_failure("--group: \"" + group + "\" is not a group's name");
    }
    spec.group = group;
    spec.instances = read_instances(instances);
    spec.policy.restart = read_restart(restart);
    if (!stop_signal.empty()) {
        spec.policy.stop_signal = value_or_throw("--stop-signal", conf::parse_signal(stop_signal));
    }
    if (!stop_timeout.empty()) {
        spec.policy.stop_timeout =
            value_or_throw("--stop-timeout", conf::parse_duration(stop_timeout));
    }
    if (!min_uptime.empty()) {
        spec.policy.min_uptime = value_or_throw("--min-uptime", conf::parse_duration(min_uptime));
    }
    spec.launch.command = command;
    spec.launch.cwd = read_directory(cwd);
    for (const std::string& text : variables) {
        auto [variable, value] = value_or_throw("--env", parse_variable(text));
        spec.launch.env.insert_or_assign(std::move(variable), std::move(value));
    }
    const char* path = std::getenv("PATH");
    spec.launch.base_path = path == nullptr ? "" : path;
    spec.launch.keep_env = keep_env;
    if (keep_env) spec.launch.inherited_env = own_environment();
    read_user(user, spec.launch);
    read_store(store, no_store, spec.launch);
    return spec;
}

}  // namespace cluster::clusterctl
