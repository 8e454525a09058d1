#include "lmdb_peer.hpp"

#if !defined(CLUSTER_WITHOUT_LMDB)
#include <lmdb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/prng.hpp"
#include "peers.hpp"

namespace cluster::store::bench {
namespace {

void expect(int code) {
    if (code != 0) std::abort();
}

/// Nothing is written to a disk: as fast as it can be while several processes write.
class Database {
public:
    explicit Database(const std::filesystem::path& place) {
        expect(mdb_env_create(&env_));
        expect(mdb_env_set_mapsize(env_, std::size_t{1} << 30U));
        const std::string file = place / "lmdb";
        expect(mdb_env_open(env_, file.c_str(), MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOMETASYNC, 0600));
        MDB_txn* txn = nullptr;
        expect(mdb_txn_begin(env_, nullptr, 0, &txn));
        expect(mdb_dbi_open(txn, nullptr, 0, &table_));
        expect(mdb_txn_commit(txn));
        expect(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_));
        mdb_txn_reset(reading_);
    }
    ~Database() {
        mdb_txn_abort(reading_);
        mdb_env_close(env_);
    }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    [[nodiscard]] MDB_txn* begin() const {
        MDB_txn* txn = nullptr;
        expect(mdb_txn_begin(env_, nullptr, 0, &txn));
        return txn;
    }
    void put(MDB_txn* txn, MDB_val key, MDB_val value) const {
        expect(mdb_put(txn, table_, &key, &value, 0));
    }
    /// Into the buffer. The transaction is kept and renewed, as its manual advises.
    void get(MDB_val key, std::span<std::byte> buffer) const {
        MDB_val value;
        expect(mdb_txn_renew(reading_));
        expect(mdb_get(reading_, table_, &key, &value));
        std::memcpy(buffer.data(), value.mv_data, std::min(buffer.size(), value.mv_size));
        mdb_txn_reset(reading_);
    }
    void add_one(MDB_val key) const {
        MDB_txn* txn = begin();
        MDB_val value;
        std::uint64_t number = 0;
        if (mdb_get(txn, table_, &key, &value) == 0) std::memcpy(&number, value.mv_data, 8);
        ++number;
        put(txn, key, {8, &number});
        expect(mdb_txn_commit(txn));
    }

private:
    MDB_env* env_ = nullptr;
    MDB_dbi table_ = 0;
    MDB_txn* reading_ = nullptr;
};

/// The sixteen bytes that the table's own key has.
struct LmdbKey {
    explicit LmdbKey(std::uint64_t number) {
        const std::uint64_t high = number * 0x9E3779B97F4A7C15U;
        std::memcpy(text.data(), &high, 8);
        std::memcpy(text.data() + 8, &number, 8);
    }
    [[nodiscard]] MDB_val value() { return {text.size(), text.data()}; }
    std::array<char, 16> text;
};

}  // namespace

Prepare lmdb_counting(const std::filesystem::path& place) {
    return [place](int) -> Work {
        auto database = std::make_shared<Database>(place);
        return [database](std::uint64_t operations) {
            std::array<char, 6> name{'n', 'u', 'm', 'b', 'e', 'r'};
            for (std::uint64_t i = 0; i < operations; ++i) {
                database->add_one({name.size(), name.data()});
            }
        };
    };
}

Prepare lmdb_table(const std::filesystem::path& place, const Mix& mix) {
    return [place, mix](int worker) -> Work {
        auto database = std::make_shared<Database>(place);
        const Prng first{static_cast<std::uint64_t>(worker) + 7};
        return [database, mix, prng = first](std::uint64_t operations) mutable {
            std::string value(mix.value_bytes, 'w');
            std::array<std::byte, 2048> buffer;
            const auto writes = static_cast<std::uint64_t>((1 - mix.reads) * 1000);
            for (std::uint64_t i = 0; i < operations; ++i) {
                const std::uint64_t random = prng.next();
                LmdbKey key{(random >> 20U) % mix.keys};
                if (random % 1000 < writes) {
                    MDB_txn* txn = database->begin();
                    database->put(txn, key.value(), {value.size(), value.data()});
                    expect(mdb_txn_commit(txn));
                } else {
                    database->get(key.value(), buffer);
                }
            }
        };
    };
}

/// In a process of its own: an environment that is open must not be inherited.
void lmdb_fill(const std::filesystem::path& place, const Mix& mix) {
    const pid_t pid = ::fork();
    if (pid != 0) {
        ::waitpid(pid, nullptr, 0);
        return;
    }
    std::filesystem::remove(place / "lmdb");
    std::filesystem::remove(place / "lmdb-lock");
    {
        const Database database{place};
        std::string value(mix.value_bytes, 'v');
        MDB_txn* txn = database.begin();
        for (std::uint64_t i = 0; i < mix.keys; ++i) {
            LmdbKey key{i};
            database.put(txn, key.value(), {value.size(), value.data()});
        }
        expect(mdb_txn_commit(txn));
    }
    ::_exit(0);
}

}  // namespace cluster::store::bench

#else

namespace cluster::store::bench {

Prepare lmdb_counting(const std::filesystem::path& /*place*/) {
    return {};
}
Prepare lmdb_table(const std::filesystem::path& /*place*/, const Mix& /*mix*/) {
    return {};
}
void lmdb_fill(const std::filesystem::path& /*place*/, const Mix& /*mix*/) {}

}  // namespace cluster::store::bench

#endif
