#include "conf/known_keys.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

TEST_CASE("conf/known keys: every table is asked, named ones and those that stand in a value too") {
    const std::vector<std::string> keys = known_keys();
    const auto is_known = [&](const std::string& key) {
        return std::count(keys.begin(), keys.end(), key) == 1;
    };
    for (const std::string_view key : worker_key_names()) {
        CAPTURE(key);
        CHECK(is_known("worker.NAME." + std::string(key)));
    }
    for (const std::string key :
         {"daemon", "daemon.log_dir", "worker", "worker.NAME", "worker.NAME.log.max_line",
          "worker.NAME.env_file.path", "worker.NAME.limits.nofile.soft", "worker.NAME.ready.tcp"}) {
        CAPTURE(key);
        CHECK(is_known(key));
    }
    CHECK_FALSE(is_known("worker.NAME.env.NAME"));
    CHECK_FALSE(is_known("worker.NAME.limits.NAME"));
}

}  // namespace
}  // namespace cluster::conf
