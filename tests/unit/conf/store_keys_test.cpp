// [store], [store.NAME] and a worker's `store`.
#include "conf/store_keys.hpp"

#include "loading.hpp"

namespace cluster::conf {
namespace {

using Kind = core::StoreChoice::Kind;

const std::string kWorker = "[worker.w]\ncommand = [\"srv\"]\n";

/// As if a counter took a KiB and nothing else anything.
std::uint64_t one_kib_each(const core::StoreSpec& spec) {
    return std::uint64_t{spec.counters} << 10U;
}

core::Config load_stores(const std::string& text) {
    const LoadResult result = load_text(text + kWorker);
    if (!result) FAIL_CHECK(format(result.error()));
    return result.value_or(core::Config{});
}

TEST_CASE(
    "conf/store: without a table a file describes no store, and its workers take the default") {
    const core::Config config = load_stores("");
    CHECK(config.stores.empty());
    CHECK(config.workers.front().launch.store == core::StoreChoice{});
}

TEST_CASE("conf/store: every key of the default store and of named ones is read") {
    const core::Config config = load_stores(
        "[store]\nsize = \"128MiB\"\ncounters = 100\nstriped_counters = 0\nparticipants = 7\n"
        "huge_pages = \"all\"\n[store.sessions]\nsize = \"1GiB\"\n[store.b-2]\n");
    REQUIRE(config.stores.size() == 3);
    core::StoreSpec expected;
    expected.size = std::uint64_t{128} << 20U;
    expected.counters = 100;
    expected.striped_counters = 0;
    expected.participants = 7;
    expected.huge_pages = core::HugePages::all;
    expected.source = "/srv/site/clusterd.toml";
    CHECK(config.stores[0] == expected);
    CHECK(config.stores[1].name == "sessions");
    CHECK(config.stores[1].size == std::uint64_t{1} << 30U);
    CHECK(config.stores[1].counters == core::StoreSpec{}.counters);
    CHECK(config.stores[2].name == "b-2");
    CHECK(config.stores[2].has_same_shape(core::StoreSpec{}));
}

TEST_CASE("conf/store: a named store alone says nothing about the default one") {
    const core::Config config = load_stores("[store.sessions]\nsize = \"8MiB\"\n");
    REQUIRE(config.stores.size() == 1);
    CHECK(config.stores[0].name == "sessions");
    REQUIRE(load_stores("[store]\n").stores.size() == 1);
}

TEST_CASE("conf/store: mistakes are shown where they stand") {
    check_mistakes("[store]\nsize = 64\n" + kWorker,
                   {"2:8 store.size: expected a size such as \"64MiB\"; got 64"});
    check_mistakes("[store]\nsize = \"64\"\n" + kWorker,
                   {"2:8 store.size: \"64\" has no unit: write \"64MiB\", or another of B, KB, MB, GB, TB "
                    "(powers of 1000), KiB, MiB, GiB, TiB (powers of 1024)"});
    check_mistakes("[store]\nsize = \"17GiB\"\n" + kWorker,
                   {"2:8 store.size: \"17GiB\" is too large; a store has at most 16GiB"});
    check_mistakes("[store]\ncounters = 0\n" + kWorker,
                   {"2:12 store.counters: expected an integer from 1 to 1048576; got 0"});
    check_mistakes("[store]\nparticipants = 16385\n" + kWorker,
                   {"2:16 store.participants: expected an integer from 1 to 16384; got 16385"});
    check_mistakes("[store]\nstriped_counters = -1\n" + kWorker,
                   {"2:20 store.striped_counters: expected an integer from 0 to 4096; got -1"});
    check_mistakes("[store]\nhuge_pages = \"yes\"\n" + kWorker,
                   {"2:14 store.huge_pages: expected \"used\", \"all\" or \"none\"; got \"yes\""});
    check_mistakes("[store]\nsise = \"64MiB\"\n" + kWorker,
                   {"2:1 unknown key \"sise\" in [store] (did you mean \"size\"?)"});
    check_mistakes(
        "[store.sessions]\ncounter = 1\n" + kWorker,
        {"2:1 unknown key \"counter\" in [store.sessions] (did you mean \"counters\"?)"});
    check_mistakes("store = 5\n" + kWorker, {"1:9 store: expected a table, as in [store]; got 5"});
    check_mistakes("counters = 5\n" + kWorker,
                   {"1:1 unknown name \"counters\"; it belongs below [store]"});
}

TEST_CASE("conf/store: a store's name is a name, and the default one has no table of that name") {
    check_mistakes("[store.default]\n" + kWorker,
                   {"1:8 store.default: the default store is described by [store] itself, without "
                    "a name"});
    check_mistakes("[store.all]\n" + kWorker,
                   {"1:8 store.all: a store's name has 1 to 64 letters, digits, '_' or '-', and is "
                    "not \"all\"; got \"all\""});
    check_mistakes(
        "[store.\"a b\"]\n" + kWorker,
        {"1:8 store.\"a b\": a store's name has 1 to 64 letters, digits, '_' or '-', and "
         "is not \"all\"; got \"a b\""});
}

TEST_CASE("conf/store: a store too small for its tables names the minimum") {
    const auto mistake = [](const std::string& text) {
        const LoadResult result =
            load(text + kWorker,
                 {.path = "/a.toml", .base_path = "", .minimum_store_size = one_kib_each});
        return result ? std::string("none")
                      : std::to_string(result.error()[0].line) + " " + result.error()[0].message;
    };
    CHECK(mistake("[store]\nsize = \"4096KiB\"\n") == "none");
    CHECK(mistake("[store]\nsize = \"4095KiB\"\n") ==
          "2 store.size: 4095KiB is too small for 4096 counters, 64 striped ones and 1024 "
          "participants; the minimum is 4MiB");
    CHECK(mistake("[store.x]\ncounters = 1048576\n") ==
          "1 store.x: 64MiB is too small for 1048576 counters, 64 striped ones and 1024 "
          "participants; the minimum is 1GiB");
}

TEST_CASE("conf/store: a worker names its store, or none") {
    CHECK(load_line("store = false").launch.store.kind == Kind::none);
    const core::StoreChoice named = load_line("store = \"default\"").launch.store;
    CHECK(named.kind == Kind::named);
    CHECK(named.name == "default");
    const core::Config config = load_stores("[store.sessions]\n");
    CHECK(load_worker("[store.sessions]\n" + with_line("store = \"sessions\"")).launch.store.name ==
          "sessions");
    CHECK(mistake_of(with_line("store = true")) ==
          "3:9 worker.w.store: expected the name of a store such as \"sessions\", or false; the "
          "default store is named \"default\"; got true");
    CHECK(mistake_of(with_line("store = 1")) ==
          "3:9 worker.w.store: expected the name of a store such as \"sessions\", or false; got 1");
    CHECK(mistake_of(with_line("store = \"a b\"")) ==
          "3:9 worker.w.store: expected the name of a store such as \"sessions\", or false; got "
          "\"a b\"");
}

TEST_CASE("conf/store: a store that nobody describes is a mistake, unless others may know it") {
    CHECK(mistake_of(with_line("store = \"sessions\"")) ==
          "3:9 worker.w.store: there is no store \"sessions\"; describe it below "
          "[store.sessions]");
    CHECK(mistake_of("[store.sessions]\n" + with_line("store = \"sesions\"")) ==
          "4:9 worker.w.store: there is no store \"sesions\" (did you mean \"sessions\"?)");
    const std::string text = with_line("store = \"sessions\"");
    CHECK(load(text, {.path = "/a.toml",
                      .base_path = "",
                      .known_stores = std::vector<std::string>{"sessions"}}));
    CHECK(load(text, {.path = "/a.toml", .base_path = "", .known_stores = std::nullopt}));
}

TEST_CASE("conf/store: the table may stand behind the workers that use it") {
    CHECK(load_worker(with_line("store = \"late\"") + "[store.late]\nsize = \"8MiB\"\n")
              .launch.store.name == "late");
}

}  // namespace
}  // namespace cluster::conf
