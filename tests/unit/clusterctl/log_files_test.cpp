#include "clusterctl/log_files.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

using cluster::clusterctl::list_log_files;
using cluster::clusterctl::LogFile;
using cluster::clusterctl::Stream;

namespace {

struct LogDirectory {
    LogDirectory() {
        REQUIRE(::mkdtemp(path.data()) != nullptr);
        for (const char* name :
             {"api.10.out.log", "api.2.out.log", "api.2.err.log", "web.0.out.log", "clusterd.log",
              "api.2.out.log.1", "api.2.out.log.1.gz", "x.y.out.log"}) {
            std::ofstream(path + "/" + name) << "x\n";
        }
    }
    ~LogDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    LogDirectory(const LogDirectory&) = delete;
    LogDirectory& operator=(const LogDirectory&) = delete;

    std::string path = "/tmp/clusterctl-logs-XXXXXX";
};

std::string found(const std::string& directory, const std::vector<std::string>& selectors) {
    std::string text;
    for (const LogFile& file : list_log_files(directory, selectors)) {
        CHECK(file.path.rfind(directory + "/", 0) == 0);
        text += file.id + (file.stream == Stream::out ? " out," : " err,");
    }
    return text;
}

}  // namespace

TEST_CASE(
    "clusterctl/log_files: without a daemon the directory says what there is, in order of "
    "numbers") {
    const LogDirectory logs;
    CHECK(found(logs.path, {}) == "api.2 out,api.2 err,api.10 out,web.0 out,");
    CHECK(found(logs.path, {"api"}) == "api.2 out,api.2 err,api.10 out,");
    CHECK(found(logs.path, {"api.10", "w*"}) == "api.10 out,web.0 out,");
    CHECK(found(logs.path, {"all"}) == "api.2 out,api.2 err,api.10 out,web.0 out,");
    CHECK(found(logs.path, {"nobody"}).empty());
    CHECK(found(logs.path + "/missing", {}).empty());
}
