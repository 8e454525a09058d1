#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "supervisor/journal.hpp"
#include "support/scratch.hpp"

namespace sup = cluster::supervisor;
using cluster::test::Scratch;
using cluster::test::text_of;
using cluster::test::write_text;
using Json = nlohmann::json;

namespace {

std::vector<Json> events(const std::string& path) {
    std::vector<Json> result;
    std::istringstream lines(text_of(path));
    for (std::string line; std::getline(lines, line);) {
        Json json = Json::parse(line, nullptr, false);
        if (json.is_object()) result.push_back(std::move(json));
    }
    return result;
}

void tell(sup::Journal& journal, const std::string& what) {
    journal.add(sup::EventLine("daemon").text("what", what));
    journal.flush(1000);
}

}  // namespace

TEST_CASE("supervisor/journal: events are numbered, in order, over successors") {
    const Scratch dir;
    const std::string path = dir / "events.jsonl";
    {
        sup::Journal journal;
        journal.open(path);
        tell(journal, "one");
        journal.add(sup::EventLine("state")
                        .text("id", "a\"\n\xff")
                        .number("run", -3)
                        .boolean("ready", true));
        journal.add(sup::EventLine("exit").texts("stderr", {"x", "\t"}));
        journal.flush(2000);
    }
    sup::Journal successor;
    successor.open(path);
    tell(successor, "two");
    const std::vector<Json> all = events(path);
    REQUIRE(all.size() == 4);
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].at("seq") == i + 1);
    CHECK(all[1].at("id") == "a\"\n\xEF\xBF\xBD");
    CHECK(all[1].at("run") == -3);
    CHECK(all[1].at("at_ms") == 2000);
    CHECK(all[2].at("stderr") == Json({"x", "\t"}));
    CHECK(all[3].at("what") == "two");
}

TEST_CASE("supervisor/journal: half a line of a predecessor is left behind") {
    const Scratch dir;
    const std::string path = dir / "events.jsonl";
    for (const char* tail :
         {"{\"seq\":9,\"at_ms\":1,\"type\":\"x\"", "{\"se", "garbage\n", "\n\n"}) {
        write_text(path, std::string("{\"seq\":8,\"at_ms\":1,\"type\":\"daemon\"}\n") + tail);
        sup::Journal journal;
        journal.open(path);
        tell(journal, "next");
        const std::vector<Json> all = events(path);
        CAPTURE(tail);
        REQUIRE(all.size() == 2);
        CHECK(all.back().at("seq") == 9);
        CHECK(all.back().at("what") == "next");
    }
}

TEST_CASE("supervisor/journal: a full file becomes the archive, and the numbers go on") {
    const Scratch dir;
    const std::string path = dir / "events.jsonl";
    sup::Journal journal;
    journal.open(path);
    const std::string filler(40'000, 'x');
    for (int i = 0; i < 500; ++i) tell(journal, filler);
    CHECK(std::filesystem::file_size(path) <= sup::Journal::kMaxBytes + 200'000);
    CHECK(std::filesystem::file_size(path + ".1") <= sup::Journal::kMaxBytes + 200'000);
    const std::vector<Json> archive = events(path + ".1");
    const std::vector<Json> current = events(path);
    REQUIRE_FALSE(archive.empty());
    REQUIRE_FALSE(current.empty());
    CHECK(current.front().at("seq") == archive.back().at("seq").get<std::uint64_t>() + 1);
    CHECK(current.back().at("seq") == 500);

    // Right after a rotation there is nothing in the new file yet.
    std::filesystem::rename(path, path + ".1");
    sup::Journal successor;
    successor.open(path);
    tell(successor, "on");
    CHECK(events(path).front().at("seq") == 501);
}

TEST_CASE("supervisor/journal: what cannot be written is counted, and said later") {
    const Scratch dir;
    const std::string place = dir / "later";
    sup::Journal journal;
    journal.open(place + "/events.jsonl");
    tell(journal, "lost");
    tell(journal, "lost too");
    std::filesystem::create_directory(place);
    tell(journal, "heard");
    const std::vector<Json> all = events(place + "/events.jsonl");
    REQUIRE(all.size() == 1);
    CHECK(all[0].at("lost") == 2);
    CHECK(all[0].at("what") == "heard");
    tell(journal, "again");
    CHECK_FALSE(events(place + "/events.jsonl").at(1).contains("lost"));
}

TEST_CASE("supervisor/journal: a storm in one turn is bounded and counted") {
    const Scratch dir;
    sup::Journal journal;
    journal.open(dir / "events.jsonl");
    for (std::size_t i = 0; i < sup::Journal::kMaxEventsPerTurn + 10; ++i) {
        journal.add(sup::EventLine("state"));
    }
    journal.flush(1);
    const std::vector<Json> all = events(dir / "events.jsonl");
    CHECK(all.size() == sup::Journal::kMaxEventsPerTurn);
    CHECK(all.front().at("lost") == 10);
}

TEST_CASE("supervisor/journal: an event that is too long for a line is counted") {
    const Scratch dir;
    sup::Journal journal;
    journal.open(dir / "events.jsonl");
    tell(journal, std::string(sup::Journal::kMaxLine + 1, 'x'));
    tell(journal, "short");
    const std::vector<Json> all = events(dir / "events.jsonl");
    REQUIRE(all.size() == 1);
    CHECK(all[0].at("lost") == 1);
}

TEST_CASE("supervisor/journal: sequence numbers are read from our own lines only") {
    CHECK(sup::event_sequence("{\"seq\":12,\"at_ms\":3}") == 12);
    for (const char* line : {"", "{", "{\"seq\":12", "{\"seq\":,\"a\":1}", "{\"seq\":1x}",
                             "{\"seq\":99999999999999999999,\"a\":1}", "{\"other\":1,\"seq\":1}"}) {
        CAPTURE(line);
        CHECK_FALSE(sup::event_sequence(line).has_value());
    }
}
