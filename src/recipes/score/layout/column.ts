/** How a column is stored in Parquet. */
export type ColumnType =
  'text' | 'texts' | 'double' | 'doubles' | 'float' | 'integer' | 'integers' | 'long' | 'boolean';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}
