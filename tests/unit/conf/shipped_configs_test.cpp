// The files in config/ are documentation that must not lie.
#include <fstream>
#include <sstream>

#include "conf/socket.hpp"
#include "conf/store_keys.hpp"
#include "conf/worker.hpp"
#include "loading.hpp"
#include "support/paths.hpp"

namespace cluster::conf {
namespace {

constexpr const char* kReference = CLUSTER_SOURCE_DIR "/config/clusterd.toml";
constexpr const char* kQuickstart = CLUSTER_SOURCE_DIR "/config/quickstart.toml";

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

LoadResult load_file(const std::string& path, const std::string& text) {
    LoadResult result = load(text, {path, "/usr/bin"});
    if (!result) FAIL_CHECK(format(result.error()));
    return result;
}

/// A setting that is off in the file is written `#key = …`, prose is `# text`.
std::string switch_everything_on(const std::string& text) {
    std::istringstream lines(text);
    std::string result;
    for (std::string line; std::getline(lines, line);) {
        const bool is_setting = line.size() > 1 && line[0] == '#' &&
                                ((line[1] >= 'a' && line[1] <= 'z') || line[1] == '[');
        if (line.rfind("#stdin = ", 0) == 0) continue;  // stdin_socket excludes it
        result += (is_setting ? line.substr(1) : line) + "\n";
    }
    return result;
}

TEST_CASE("conf/shipped: clusterd.toml loads as it is, and every setting in it is a default") {
    const LoadResult result = load_file(kReference, read_file(kReference));
    REQUIRE(result);
    CHECK(result->daemon == core::DaemonSpec{});
    REQUIRE(result->stores.size() == 1);
    core::StoreSpec store;
    store.source = kReference;
    CHECK(result->stores.front() == store);
    CHECK(result->channel == core::ChannelSpec{});
    REQUIRE(result->workers.size() == 1);
    const core::WorkerSpec& worker = result->workers.front();
    CHECK(worker.policy == core::Policy{});
    CHECK(worker.log == core::LogSpec{});
    CHECK(worker.instances == 1);
    CHECK(worker.autostart);
    CHECK_FALSE(worker.stop_message);
    CHECK(worker.group.empty());
    core::Launch launch;
    launch.command = worker.launch.command;
    launch.cwd = CLUSTER_SOURCE_DIR "/config";
    launch.base_path = "/usr/bin";
    CHECK(worker.launch == launch);
}

TEST_CASE("conf/shipped: clusterd.toml loads with every setting switched on") {
    REQUIRE(load_file(kReference, switch_everything_on(read_file(kReference))));
}

TEST_CASE("conf/shipped: clusterd.toml shows every key of a worker, of a store and of a socket") {
    const std::string text = "\n" + switch_everything_on(read_file(kReference));
    std::vector<std::string_view> keys = worker_key_names();
    for (const std::string_view key : store_key_names()) keys.push_back(key);
    for (const std::string_view key : keys) {
        CAPTURE(key);
        const std::string line = std::string(key) + " = ";
        CHECK((text.find("\n" + line) != std::string::npos || key == "stdin"));
    }
    for (const std::string_view key : socket_key_names()) {
        CAPTURE(key);
        CHECK(text.find("\n" + std::string(key) + " = ") != std::string::npos);
    }
}

TEST_CASE("conf/shipped: quickstart.toml runs a server four times, a ticker and a crasher") {
    const LoadResult result = load_file(kQuickstart, read_file(kQuickstart));
    REQUIRE(result);
    REQUIRE(result->workers.size() == 3);
    CHECK(result->workers[0].name == "web");
    CHECK(result->workers[0].instances == 4);
    CHECK(result->workers[1].name == "ticker");
    CHECK(result->workers[1].launch.command.front() == "/bin/sh");
    CHECK(result->workers[2].name == "crasher");
    CHECK(std::ifstream(CLUSTER_SOURCE_DIR "/config/quickstart/server.py").good());
}

}  // namespace
}  // namespace cluster::conf
