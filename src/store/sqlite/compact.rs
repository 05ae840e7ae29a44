//! Giving disk space back: what retention and deletions free is used again first; what is free beyond a reserve is cut off
//! the file's end, a little at a time, between the groups of the writer. Which events go is not decided here.

use rusqlite::Connection;

/// Of the file so much may be free (a quarter): a log that grows and is pruned at the same pace keeps its size, instead of
/// giving space away only to ask for it again.
const RESERVE: i64 = 4;
/// A smaller file is not worth the work.
const SMALLEST_PAGES: i64 = 4096;
/// Pages moved or cut in one portion: little enough that an append that comes meanwhile hardly waits.
const PAGES: i64 = 128;

/// Lets a database that has no tables yet, or a copy that is about to be made, give space back later.
pub(super) fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    // Said again to a database that is so already, it would be written.
    match conn.pragma_query_value(None, "auto_vacuum", |row| row.get(0))? {
        0 => conn.pragma_update(None, "auto_vacuum", "incremental"),
        _ => Ok(()),
    }
}

/// Whether there is more to do.
pub(super) fn portion(conn: &Connection) -> rusqlite::Result<bool> {
    if excess(conn)? <= 0 {
        return Ok(false);
    }
    let sql = format!("PRAGMA incremental_vacuum({PAGES})");
    let mut statement = conn.prepare(&sql)?;
    // Each step cuts one page; it gives no row.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(excess(conn)? > 0)
}

/// How many pages are free beyond the reserve.
fn excess(conn: &Connection) -> rusqlite::Result<i64> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (number("page_count")?, number("freelist_count")?);
    if pages < SMALLEST_PAGES {
        return Ok(0);
    }
    Ok(free - pages / RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::folder;

    fn pages(conn: &Connection) -> i64 {
        conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    }

    /// A database of a bit more than `count` pages.
    fn filled(conn: &Connection, count: i64) {
        conn.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB NOT NULL)").unwrap();
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO t SELECT i, zeroblob(4000) FROM n";
        conn.execute(sql, [count]).unwrap();
    }

    #[test]
    fn what_is_free_beyond_the_reserve_is_given_back_in_portions() {
        let (_folder, path) = folder();
        let conn = Connection::open(path).unwrap();
        prepare(&conn).unwrap();
        filled(&conn, 3 * SMALLEST_PAGES);
        let full = pages(&conn);
        assert!(!portion(&conn).unwrap(), "nothing is free");
        conn.execute("DELETE FROM t WHERE id % 2 = 0", []).unwrap();
        assert_eq!(pages(&conn), full);
        let mut portions = 1;
        while portion(&conn).unwrap() {
            portions += 1;
        }
        let free: i64 = conn.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
        assert!(free <= pages(&conn) / RESERVE, "{free} of {} pages are free", pages(&conn));
        assert!(free > pages(&conn) / RESERVE - 2 * PAGES, "the reserve stays: {free}");
        assert!(portions > 10, "{portions}");
        let kept: i64 = conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 3 * SMALLEST_PAGES / 2);
    }

    #[test]
    fn a_small_file_is_left_alone() {
        let (_folder, path) = folder();
        let conn = Connection::open(path).unwrap();
        prepare(&conn).unwrap();
        filled(&conn, SMALLEST_PAGES / 2);
        conn.execute("DELETE FROM t", []).unwrap();
        let before = pages(&conn);
        assert!(!portion(&conn).unwrap());
        assert_eq!(pages(&conn), before);
    }
}
