import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.Statement;
import java.util.Properties;

/** What a tool built on JDBC asks of a database, such as DBeaver: a line for each thing found. */
class Metadata {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", "somebody");
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
            DatabaseMetaData meta = connection.getMetaData();
            System.out.println("product " + meta.getDatabaseProductName() + " " + meta.getDatabaseMajorVersion());
            System.out.println("catalog " + connection.getCatalog() + " schema " + connection.getSchema());
            print("catalogs", meta.getCatalogs(), "TABLE_CAT");
            print("schemas", meta.getSchemas(), "TABLE_SCHEM");
            print("types", meta.getTableTypes(), "TABLE_TYPE");
            print("table", meta.getTables(null, "lake", "tele%", new String[] {"TABLE", "VIEW"}), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE");
            print("any table", meta.getTables(null, null, "%", null), "TABLE_NAME");
            print("column", meta.getColumns(null, "lake", "telemetry", "%"), "COLUMN_NAME", "TYPE_NAME", "DATA_TYPE", "IS_NULLABLE", "ORDINAL_POSITION");
            print("key", meta.getPrimaryKeys(null, "lake", "telemetry"), "COLUMN_NAME");
            print("index", meta.getIndexInfo(null, "lake", "telemetry", false, false), "INDEX_NAME");
            print("imported", meta.getImportedKeys(null, "lake", "telemetry"), "FK_NAME");
            print("exported", meta.getExportedKeys(null, "lake", "telemetry"), "FK_NAME");
            print("function", meta.getFunctions(null, null, "%"), "FUNCTION_NAME");
            print("procedure", meta.getProcedures(null, null, "%"), "PROCEDURE_NAME");
            print("privilege", meta.getTablePrivileges(null, "lake", "telemetry"), "PRIVILEGE");
            print("type", meta.getTypeInfo(), "TYPE_NAME");
            System.out.println("keywords " + meta.getSQLKeywords());
            System.out.println("name length " + meta.getMaxColumnNameLength() + " index " + meta.getMaxColumnsInIndex());
            try (PreparedStatement asked = connection.prepareStatement("select source, value, event_time from telemetry where value > ? order by value")) {
                asked.setDouble(1, 21.0);
                ResultSetMetaData columns = asked.getMetaData();
                System.out.println("prepared " + columns.getColumnTypeName(1) + " " + columns.getColumnTypeName(2) + " " + columns.getColumnTypeName(3));
                print("row", asked.executeQuery(), "source", "value", "event_time");
            }
            connection.setAutoCommit(false);
            try (Statement fetching = connection.createStatement()) {
                fetching.setFetchSize(100);
                int rows = 0;
                try (ResultSet result = fetching.executeQuery("select value from generate_series(1, 1000)")) {
                    while (result.next()) {
                        rows++;
                    }
                }
                System.out.println("fetched " + rows);
            }
            connection.commit();
        }
    }

    private static void print(String what, ResultSet result, String... columns) throws Exception {
        try (result) {
            while (result.next()) {
                StringBuilder line = new StringBuilder(what);
                for (String column : columns) {
                    line.append(' ').append(result.getString(column));
                }
                System.out.println(line);
            }
        }
    }
}
