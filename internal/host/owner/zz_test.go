package owner
import ("testing";"context";"time";"fmt";"os";"strconv";"encoding/json")
func TestX(t *testing.T){
 for i:=0;i<3;i++{
 var pids []int32
 es,_:=os.ReadDir("/proc"); for _,e:=range es { if n,err:=strconv.Atoi(e.Name());err==nil&&n>1{pids=append(pids,int32(n))}}
 t0:=time.Now()
 d:=NewDescriber(Config{})
 m:=d.Describe(context.Background(),pids)
 fmt.Println(len(pids),len(m),time.Since(t0))
 if i==2 { for _,x:=range m { if x.Process.Exe!="" {b,_:=json.Marshal(x);fmt.Println(string(b))} } }
 }
 var self []int32; self=append(self,int32(os.Getpid()))
 t0:=time.Now(); d:=NewDescriber(Config{}); d.Describe(context.Background(),self); fmt.Println(time.Since(t0))
}
