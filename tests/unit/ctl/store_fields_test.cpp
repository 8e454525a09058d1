#include <doctest/doctest.h>

#include <string>

#include "ctl/protocol.hpp"
#include "ctl/spec_json.hpp"

using cluster::core::StoreChoice;
using cluster::core::StoreSpec;
using cluster::core::WorkerSpec;
using cluster::ctl::parse_spec;
using cluster::ctl::parse_store;
using cluster::ctl::render_spec;
using cluster::ctl::render_store;

namespace {

WorkerSpec worker_with(const StoreChoice& choice) {
    WorkerSpec spec;
    spec.name = "a";
    spec.launch.command = {"true"};
    spec.launch.cwd = "/";
    spec.launch.store = choice;
    return spec;
}

std::string with(std::string text, const std::string& piece, const std::string& replacement) {
    const std::size_t at = text.find(piece);
    REQUIRE(at != std::string::npos);
    return text.replace(at, piece.size(), replacement);
}

TEST_CASE("ctl/store: each choice of a worker comes back as it went") {
    const StoreChoice choices[] = {{StoreChoice::Kind::automatic, ""},
                                   {StoreChoice::Kind::none, ""},
                                   {StoreChoice::Kind::named, "default"},
                                   {StoreChoice::Kind::named, "sessions"}};
    for (const StoreChoice& choice : choices) {
        const auto parsed = parse_spec(render_spec(worker_with(choice)));
        REQUIRE(parsed.has_value());
        CHECK(parsed->launch.store == choice);
    }
    // What an older version remembered has no such field.
    const std::string old = with(render_spec(worker_with({})), ",\"store\":null", "");
    REQUIRE(parse_spec(old).has_value());
    CHECK(parse_spec(old)->launch.store == StoreChoice{});
}

TEST_CASE("ctl/store: a choice that is none is refused by name") {
    const std::string text = render_spec(worker_with({}));
    const auto refusal = [&text](const std::string& value) {
        const auto parsed = parse_spec(with(text, "\"store\":null", "\"store\":" + value));
        REQUIRE_FALSE(parsed.has_value());
        return parsed.error();
    };
    CHECK(refusal("true") == "spec.launch.store: expected the name of a store, or false");
    CHECK(refusal("[]") == "spec.launch.store: expected the name of a store, or false");
    CHECK(refusal("\"a b\"") ==
          "spec.launch.store: \"a b\" is not a store's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
}

TEST_CASE("ctl/store: a store comes back as it went, and its bounds are checked") {
    StoreSpec spec;
    spec.name = "sessions";
    spec.size = std::uint64_t{16} << 30U;
    spec.counters = 1U << 20U;
    spec.striped_counters = 0;
    spec.participants = 16384;
    spec.huge_pages = cluster::core::HugePages::none;
    spec.source = "/srv/\xFF.toml";
    const std::string text = render_store(spec);
    const auto parsed = parse_store(text);
    REQUIRE(parsed.has_value());
    CHECK(*parsed == spec);
    const auto refusal = [&text](const std::string& piece, const std::string& value) {
        const auto refused = parse_store(with(text, piece, value));
        REQUIRE_FALSE(refused.has_value());
        return refused.error();
    };
    CHECK(refusal("17179869184", "17179869185") ==
          "store.size_bytes: 17179869185 is not between 0 and 17179869184");
    CHECK(refusal("1048576", "1048577") == "store.counters: 1048577 is not between 1 and 1048576");
    CHECK(refusal("\"participants\":16384", "\"participants\":0") ==
          "store.participants: 0 is not between 1 and 16384");
    CHECK(refusal("\"striped_counters\":0", "\"striped_counters\":4097") ==
          "store.striped_counters: 4097 is not between 0 and 4096");
    CHECK(refusal("\"sessions\"", "\"\"") ==
          "store.name: \"\" is not a store's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
    const std::string huge_pages = "\"huge_pages\":\"none\"";
    CHECK(refusal(huge_pages, "\"huge\":\"none\"") == "store.huge_pages: is missing");
    CHECK(refusal(huge_pages, "\"huge_pages\":\"some\"") ==
          "store.huge_pages: \"some\" is none of used, all and none");
    // As an earlier version wrote it down.
    const auto earlier = parse_store(with(text, huge_pages, "\"huge_pages\":true"));
    REQUIRE(earlier.has_value());
    CHECK(earlier->huge_pages == cluster::core::HugePages::all);
    for (std::size_t length = 0; length < text.size(); ++length) {
        CHECK_FALSE(parse_store(text.substr(0, length)).has_value());
    }
}

TEST_CASE("ctl/store: requests and answers come back as they went") {
    namespace ctl = cluster::ctl;
    const auto parsed = ctl::parse_request(
        ctl::render_request({ctl::RequestId{"1"}, ctl::request::OpenStore{"sessions"}}));
    REQUIRE(parsed.has_value());
    CHECK(std::get<ctl::request::OpenStore>(parsed->method).name == "sessions");
    REQUIRE(
        ctl::parse_request(ctl::render_request({ctl::RequestId{"1"}, ctl::request::ListStores{}}))
            .has_value());
    const auto refused = ctl::parse_request(
        R"({"jsonrpc":"2.0","id":1,"method":"store.open","params":{"name":"../x"}})");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().error.message == "params.name: \"../x\" is not a store's name");

    StoreSpec made;
    made.source = "/a.toml";
    StoreSpec unmade;
    unmade.name = "sessions";
    const ctl::StoresAnswer answer{
        {{.spec = made, .inode = 1044, .generation = 18446744073709551615U}, {.spec = unmade}}};
    const std::string line = ctl::render_answer(ctl::RequestId{"1"}, answer);
    const auto read = ctl::parse_stores(line);
    REQUIRE(read.has_value());
    REQUIRE(read->stores.size() == 2);
    CHECK(read->stores[0].spec == made);
    CHECK(read->stores[0].inode == 1044);
    CHECK(read->stores[0].generation == 18446744073709551615U);
    CHECK(read->stores[1].spec == unmade);
    CHECK_FALSE(read->stores[1].inode.has_value());
    CHECK_FALSE(read->stores[1].generation.has_value());
    CHECK_FALSE(ctl::parse_stores(with(line, "\"18446744073709551615\"", "\"x\"")).has_value());
}

}  // namespace
