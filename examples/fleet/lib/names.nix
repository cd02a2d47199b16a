rec {
  web = "web";
  db = "db";
}
